import type { ProbeStep } from '../../signal/index.js';
import {
  describeDuration,
  escapeHtml,
  renderTimelinePage,
  type TimelineRecord,
} from '../../timeline/index.js';

export interface Diagnosis {
  url: string;
  /** False when a step failed. */
  healthy: boolean;
  steps: ProbeStep[];
  timelines: TimelineRecord[];
}

const marks: Record<ProbeStep['outcome'], string> = { ok: '✓', warning: '!', failed: '✗', skipped: '–' };

/** Version of what `--json` prints; increased when a field is removed or changes its meaning. */
const schemaVersion = 1;

/** The diagnosis for programs, its times in milliseconds with one decimal. */
export function diagnosisJson(diagnosis: Diagnosis): string {
  const round = (_key: string, value: unknown) =>
    typeof value === 'number' ? Math.round(value * 10) / 10 : value;
  return JSON.stringify({ schemaVersion, ...diagnosis }, round, 2);
}

/** One step for a terminal: what was found, and under it what to do. */
export function describeStep(step: ProbeStep): string {
  const elapsed = step.outcome === 'skipped' ? '' : describeDuration(step.elapsedMs);
  const line = `${marks[step.outcome]} ${step.name.padEnd(26)} ${elapsed.padStart(8)}  ${step.says}`;
  return step.advice && step.outcome !== 'ok' ? `${line}\n${' '.repeat(39)}→ ${step.advice}` : line;
}

/** The result in a sentence: the first step that failed, and what to do about it. */
export function summarizeDiagnosis({ url, steps }: Diagnosis): string {
  const failed = steps.find(({ outcome }) => outcome === 'failed');
  if (failed)
    return `${url}: ${failed.name} failed. ${failed.says.replace(/\.$/, '')}. ${failed.advice ?? ''}`.trim();
  const warnings = steps.filter(({ outcome }) => outcome === 'warning').length;
  // Without a token, everything behind HTTP is left out.
  const asFar = steps.some(({ name }) => name === 'HTTP') ? ' as far as can be tested without a token' : '';
  const withWarnings = warnings === 0 ? '' : `, with ${warnings} warning${warnings > 1 ? 's' : ''}`;
  const forMore = asFar
    ? ' For the rest pass --token, or --api-key and --api-secret (LIVEKIT_API_KEY, LIVEKIT_API_SECRET).'
    : '';
  return `${url} works${asFar}${withWarnings}.${forMore}`;
}

const rowClasses: Record<ProbeStep['outcome'], string> = {
  ok: 'ok',
  warning: 'deadline',
  failed: 'failed',
  skipped: 'abandoned',
};

function row(step: ProbeStep): string {
  const elapsed = step.outcome === 'skipped' ? '' : `, ${describeDuration(step.elapsedMs)}`;
  const advice =
    step.advice && step.outcome !== 'ok'
      ? `<p class="says"><strong>${escapeHtml(step.advice)}</strong></p>`
      : '';
  return `<li class="${rowClasses[step.outcome]}"><div class="what"><span class="stage">${escapeHtml(step.name)}</span>\
<span class="where">${escapeHtml(step.says)}</span>\
<span class="outcome">${marks[step.outcome]} ${step.outcome}${elapsed}</span></div>${advice}</li>`;
}

/** The diagnosis as one self-contained page. */
export function renderDiagnosisPage(diagnosis: Diagnosis): string {
  return renderTimelinePage(diagnosis.timelines, {
    title: `offhook doctor: ${diagnosis.url}`,
    summary: summarizeDiagnosis(diagnosis),
    howToMake: `npx offhook doctor ${diagnosis.url} --html report.html`,
    sections: [
      {
        heading: 'Each step by itself',
        html: `<ul class="waterfall">\n${diagnosis.steps.map(row).join('\n')}\n</ul>`,
      },
    ],
  });
}
