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
    return `${url} cannot be used: ${failed.name} failed. ${failed.says}. ${failed.advice ?? ''}`.trim();
  const warnings = steps.filter(({ outcome }) => outcome === 'warning').length;
  return warnings === 0
    ? `${url} works.`
    : `${url} works, with ${warnings} thing${warnings > 1 ? 's' : ''} to look at.`;
}

/** The diagnosis as one self-contained page. */
export function renderDiagnosisPage(diagnosis: Diagnosis): string {
  const rows = diagnosis.steps.map(
    (step) =>
      `<tr><td>${marks[step.outcome]} ${step.outcome}</td><td>${escapeHtml(step.name)}</td>\
<td>${describeDuration(step.elapsedMs)}</td><td>${escapeHtml(step.says)}\
${step.advice && step.outcome !== 'ok' ? `<br><strong>${escapeHtml(step.advice)}</strong>` : ''}</td></tr>`,
  );
  return renderTimelinePage(diagnosis.timelines, {
    title: `offhook doctor: ${diagnosis.url}`,
    summary: summarizeDiagnosis(diagnosis),
    sections: [
      {
        heading: 'Each step apart',
        html: `<div class="scroll"><table><tr><th>outcome</th><th>step</th><th>time</th><th>what was found</th></tr>
${rows.join('\n')}</table></div>`,
      },
    ],
  });
}
