import { checkList, checkObject } from '../errors/index.js';
import type { SpanRecord, TimelineRecord } from './timeline.js';

/** Steps that belong together: one connect, or one reconnect with all its attempts. */
export interface Episode {
  startMs: number;
  /** End of the last step that has ended, or start of the last one. */
  endMs: number;
  /** The same without what runs beside the path: the scale to draw to, so that a slow filter hides nothing. */
  pathEndMs: number;
  spans: Readonly<SpanRecord>[];
}

/** Nothing happening for this long separates two episodes. */
const pauseMs = 3_000;

/** When a step is over for the purpose of grouping: what is still under way belongs where it began. */
function endOf(span: Readonly<SpanRecord>): number {
  return span.endMs ?? span.startMs;
}

function isBesidePath(span: Readonly<SpanRecord>): boolean {
  return span.stage === 'filter-load' || span.stage === 'filter-create';
}

/** Groups the steps of a timeline, so that each group can be drawn to its own scale. */
export function episodesOf(spans: readonly Readonly<SpanRecord>[]): Episode[] {
  const episodes: Episode[] = [];
  for (const span of [...spans].sort((a, b) => a.startMs - b.startMs)) {
    let current = episodes.at(-1);
    if (!current || span.startMs > current.endMs + pauseMs) {
      current = { startMs: span.startMs, endMs: span.startMs, pathEndMs: span.startMs, spans: [] };
      episodes.push(current);
    }
    current.spans.push(span);
    current.endMs = Math.max(current.endMs, endOf(span));
    if (!isBesidePath(span)) current.pathEndMs = Math.max(current.pathEndMs, endOf(span));
  }
  for (const episode of episodes) {
    if (episode.pathEndMs === episode.startMs) episode.pathEndMs = episode.endMs;
  }
  return episodes;
}

/** What a program wants to see as a page or as text. @throws OffhookError `OFFHOOK_INVALID_REQUEST` */
export function checkTimeline(record: unknown): void {
  checkObject('the timeline', record);
  checkList('spans of the timeline', (record as TimelineRecord).spans);
}
