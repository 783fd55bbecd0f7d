import { createRequire } from 'node:module';
import { checkList, checkObject, checkText, type Stage } from '../errors/index.js';
import { describeSubject } from '../logging/index.js';
import { checkTimeline, type Episode, episodesOf } from './episodes.js';
import { describeDuration, hostOf } from './log-lines.js';
import { pageStyle } from './page-style.js';
import type { SpanRecord, TimelineRecord } from './timeline.js';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

/** A part of the page that its maker has already written as HTML. */
export interface PageSection {
  heading: string;
  /** Trusted HTML: escape text from elsewhere before it gets here. */
  html: string;
}

export interface PageExtras {
  title: string;
  /** A sentence under the title: what the reader is looking at. */
  summary?: string;
  /** Before the timelines. */
  sections?: readonly PageSection[];
  /** The command that makes such a page, for its last line. */
  howToMake?: string;
}

const entities: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}

/** Steps whose name does not say what they are. */
const explained: Partial<Record<Stage, string>> = {
  url: 'the list of regions is read',
  join: 'the server lets the participant in',
  ice: 'a path for media is found',
  dtls: 'media gets its keys',
  data: 'data channels open',
  callback: 'connect returns to the program',
  'filter-load': 'in parallel to the connect, which does not wait for it',
  'filter-create': 'in parallel to the connect, which does not wait for it',
  'sip-invite': 'media is agreed on, it rings',
  'sip-turn': 'waits while other calls join their rooms',
  'sip-room': 'the telephone joins the room',
  'sip-agent': 'another participant joins it',
  'sip-audio': 'its audio can be heard',
  'sip-answer': 'the call is answered',
  'sip-call': 'both can talk',
};

function row(span: Readonly<SpanRecord>, { startMs, pathEndMs }: Episode): string {
  const whole = Math.max(pathEndMs - startMs, 1);
  const percent = (ms: number) => `${Math.max(0, Math.min(100, (100 * ms) / whole)).toFixed(2)}%`;
  const end = Math.min(span.endMs ?? pathEndMs, pathEndMs);
  const isCut = span.endMs === undefined || span.endMs > pathEndMs;
  const where = [span.filter, hostOf(span), span.address].filter((text) => text !== undefined);
  const attempt = span.attempt !== undefined && span.attempt > 1 ? [`attempt ${span.attempt}`] : [];
  const outcome =
    span.endMs === undefined
      ? 'under way'
      : `${span.outcome}, ${describeDuration(span.endMs - span.startMs)}`;
  const deadline = span.deadlineMs === undefined ? '' : ` of ${describeDuration(span.deadlineMs)} allowed`;
  const means = explained[span.stage];
  const meaning = means ? `<span class="means">${means}</span>` : '';
  const says = span.detail ? `<p class="says">${escapeHtml(span.detail)}</p>` : '';
  return `<li class="${span.outcome ?? 'running'}"><div class="what"><span class="stage">${span.stage}</span>${meaning}\
<span class="where">${escapeHtml([...where, ...attempt].join(' · '))}</span>\
<span class="outcome" title="${outcome}${deadline}">${outcome}</span></div>\
<div class="track"><div class="bar${isCut ? ' cut' : ''}" style="left:${percent(span.startMs - startMs)};width:${percent(end - span.startMs)}">\
</div></div>${says}</li>`;
}

function waterfall(record: TimelineRecord): string {
  const parts = episodesOf(record.spans).map((episode) => {
    const began = episode.startMs < 1 ? 'at once' : `after ${describeDuration(episode.startMs)}`;
    const heading = `Began ${began}, took ${describeDuration(episode.pathEndMs - episode.startMs)}`;
    const rows = episode.spans.map((span) => row(span, episode)).join('\n');
    return `<h3>${heading}</h3>\n<ul class="waterfall">\n${rows}\n</ul>`;
  });
  const forgotten =
    record.forgotten > 0 ? `<p class="faint">${record.forgotten} earlier steps are no longer kept.</p>` : '';
  return `<section><h2>${escapeHtml(record.name)}</h2>\
<p class="faint">${escapeHtml([describeSubject(record), `counted from ${record.startedAt}`].filter(Boolean).join(', '))}</p>\n${parts.join('\n')}${forgotten}</section>`;
}

/** One self-contained HTML page, no scripts and nothing loaded: the timelines as waterfalls, and sections of the maker's. */
export function renderTimelinePage(timelines: readonly TimelineRecord[], extras: PageExtras): string {
  for (const timeline of checkList('timelines', timelines, 'timelines')) checkTimeline(timeline);
  checkObject('the extras of the page', extras);
  checkText('title', extras.title);
  const sections = (extras.sections ?? []).map(
    ({ heading, html }) => `<section><h2>${escapeHtml(heading)}</h2>\n${html}\n</section>`,
  );
  const legend =
    timelines.length === 0
      ? ''
      : `<section><h2>How to read the steps</h2>
<p class="faint">Each group below is one connect or reconnect, and each bar one of its steps, drawn to the time that the group took. \
A bar that ends in ▶ runs out of its axis: that step lasted longer than the connect, and nothing waited for it.</p></section>`;
  const command = extras.howToMake ? `: <code>${escapeHtml(extras.howToMake)}</code>` : '';
  const summary = extras.summary ? `<p>${escapeHtml(extras.summary)}</p>` : '';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(extras.title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<h1>${escapeHtml(extras.title)}</h1>
${summary}
${[...sections, legend, ...timelines.map(waterfall)].join('\n')}
<footer class="faint">Made by offhook ${escapeHtml(version)}${command}</footer>
</body>
</html>
`;
}
