import { escapeHtml } from '../../timeline/index.js';
import type { CallRecord } from './call-record.js';

const floorDbfs = -60;
const labelRowHeight = 14;

/** A drawing for one width of the page, so that its text has the same size on a screen and on a phone. */
interface Layout {
  className: 'wide' | 'narrow';
  width: number;
  height: number;
  /** Rows for the names of marked steps, which stand beside each other otherwise. */
  labelRows: number;
  maxTicks: number;
}

const narrow: Layout = { className: 'narrow', width: 358, height: 190, labelRows: 6, maxTicks: 6 };
/** By whether something else is drawn to the right of it. */
const layouts = {
  alone: [{ className: 'wide', width: 928, height: 150, labelRows: 3, maxTicks: 12 }, narrow],
  beside: [{ className: 'wide', width: 520, height: 190, labelRows: 6, maxTicks: 8 }, narrow],
} satisfies Record<string, Layout[]>;

/** Seconds between two ticks on a time axis that is `seconds` long and has about `maxTicks` ticks at most. */
function tickSeconds(seconds: number, maxTicks: number): number {
  return [1, 2, 5, 10, 20].find((step) => seconds / step <= maxTicks) ?? 60;
}

/**
 * What the caller of `call` heard over time, as SVG for wide and for narrow pages: one bar for each level step, a line for each marked step of the
 * call. `spanMs` is the length of the time axis, so that two calls can be drawn to one scale.
 */
export function renderLevelChart(
  call: CallRecord,
  spanMs: number,
  place: keyof typeof layouts = 'alone',
): string {
  return layouts[place].map((layout) => draw(call, spanMs, layout)).join('\n');
}

function draw(call: CallRecord, spanMs: number, layout: Layout): string {
  const { width, height, labelRows } = layout;
  const plot = { left: 36, right: 12, top: 4 + labelRows * labelRowHeight, bottom: 24 };
  const innerWidth = width - plot.left - plot.right;
  const innerHeight = height - plot.top - plot.bottom;
  const x = (ms: number) => plot.left + (ms / spanMs) * innerWidth;
  const y = (dbfs: number) => plot.top + (Math.max(dbfs, floorDbfs) / floorDbfs) * innerHeight;
  const base = plot.top + innerHeight;

  const bars = call.levels.map((level, i) => {
    if (level === null || level <= floorDbfs) return '';
    const left = x(i * call.levelStepMs);
    const right = x((i + 1) * call.levelStepMs);
    return `<rect x="${left.toFixed(1)}" y="${y(level).toFixed(1)}" width="${Math.max(right - left - 0.4, 0.6).toFixed(1)}" height="${(base - y(level)).toFixed(1)}"/>`;
  });
  const ticks: string[] = [];
  const step = tickSeconds(spanMs / 1_000, layout.maxTicks);
  for (let second = 0; second * 1_000 <= spanMs; second += step) {
    ticks.push(
      `<text x="${x(second * 1_000).toFixed(1)}" y="${height - 8}" text-anchor="middle">${second} s</text>`,
    );
  }
  const scale = [0, -20, -40].map(
    (dbfs) =>
      `<line class="grid" x1="${plot.left}" x2="${width - plot.right}" y1="${y(dbfs)}" y2="${y(dbfs)}"/>` +
      `<text x="${plot.left - 6}" y="${y(dbfs) + 4}" text-anchor="end">${dbfs}</text>`,
  );
  const marks = call.steps
    .filter((step) => step.mark !== undefined)
    .map((step, i) => {
      const at = x(step.atMs);
      const anchor = at > width - 150 ? 'end' : 'start';
      const labelY = 11 + (i % labelRows) * labelRowHeight;
      return (
        `<line class="mark ${step.who}" x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="${labelY + 3}" y2="${base}"/>` +
        `<text class="label" x="${(at + (anchor === 'end' ? -3 : 3)).toFixed(1)}" y="${labelY}" text-anchor="${anchor}">` +
        `${escapeHtml(step.mark!)} ${(step.atMs / 1_000).toFixed(2)} s</text>`
      );
    });
  const ringEnd = x(call.firstAudioMs ?? call.durationMs);
  return (
    `<svg class="${layout.className}" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Level of what the caller heard over time">` +
    `<style>svg text{font:11px system-ui,sans-serif;fill:var(--faint)}svg .label{fill:var(--ink)}` +
    `svg .level rect{fill:var(--ok)}svg .grid{stroke:var(--line)}svg .mark{stroke:var(--ink);stroke-dasharray:2 2}` +
    `svg .mark.engine{stroke:var(--late)}svg .ring{fill:var(--track)}</style>` +
    `<rect class="ring" x="${plot.left}" y="${plot.top}" width="${(ringEnd - plot.left).toFixed(1)}" height="${innerHeight}"/>` +
    `${scale.join('')}${ticks.join('')}<line class="grid" x1="${plot.left}" x2="${width - plot.right}" y1="${base}" y2="${base}"/>` +
    `<g class="level">${bars.join('')}</g>${marks.join('')}</svg>`
  );
}
