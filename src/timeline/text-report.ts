import { checkTimeline, type Episode, episodesOf } from './episodes.js';
import { describeDuration } from './log-lines.js';
import type { SpanRecord, TimelineRecord } from './timeline.js';

const barColumns = 40;
const labelColumns = 44;

function bar(span: Readonly<SpanRecord>, { startMs, pathEndMs }: Episode): string {
  const scale = barColumns / Math.max(pathEndMs - startMs, 1);
  const column = (ms: number) => Math.min(Math.round((ms - startMs) * scale), barColumns);
  const from = Math.min(column(span.startMs), barColumns - 1);
  const to = span.endMs === undefined ? barColumns : Math.max(from + 1, column(span.endMs));
  const mark = span.outcome === 'ok' ? '█' : '░';
  const isCut = span.endMs === undefined || span.endMs > pathEndMs;
  const marks = isCut ? `${mark.repeat(to - from - 1)}▶` : mark.repeat(to - from);
  return `${' '.repeat(from)}${marks}`.padEnd(barColumns);
}

function line(span: Readonly<SpanRecord>, episode: Episode): string {
  const label = [span.stage.padEnd(11), span.filter ?? span.address ?? span.host ?? ''].join(' ');
  const elapsed = span.endMs === undefined ? '' : describeDuration(span.endMs - span.startMs);
  const fitting =
    label.length > labelColumns ? `${label.slice(0, labelColumns - 1)}…` : label.padEnd(labelColumns);
  const outcome = (span.outcome ?? 'running').padEnd(9);
  const says = span.detail && span.outcome !== 'ok' ? `  ${span.detail}` : '';
  return `  ${fitting} |${bar(span, episode)}| ${elapsed.padStart(8)}  ${outcome}${says}`.trimEnd();
}

/** The waterfall of a timeline as text, 110 columns and the reasons of failures: for terminals and logs. */
export function renderTimelineText(record: TimelineRecord): string {
  checkTimeline(record);
  const lines = [`${record.name}, since ${record.startedAt}`];
  for (const episode of episodesOf(record.spans)) {
    const at = episode.startMs < 1 ? '' : ` at +${describeDuration(episode.startMs)}`;
    lines.push(`  ${describeDuration(episode.pathEndMs - episode.startMs)}${at}`);
    lines.push(...episode.spans.map((span) => line(span, episode)));
  }
  if (record.forgotten > 0) lines.push(`  (${record.forgotten} earlier steps are no longer kept)`);
  return lines.join('\n');
}
