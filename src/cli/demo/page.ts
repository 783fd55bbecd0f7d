import { ladderPicture } from '../../sip/index.js';
import { escapeHtml, type PageSection, renderTimelinePage } from '../../timeline/index.js';
import type { CallRecord } from './call-record.js';
import { renderLevelChart } from './level-chart.js';
import { noFilter } from './noise-filter.js';

const engineNames = { offhook: 'offhook', native: 'LiveKit’s native engine' };

/** A call with what was recorded of it. */
export interface PlayedCall {
  record: CallRecord;
  wav: Buffer;
}

const seconds = (ms: number) => `${(ms / 1_000).toFixed(2)} s`;

/** How a call went, as a sentence. */
export function summarize({ engine, greeted, firstAudioMs, durationMs }: CallRecord): string {
  return greeted
    ? `On ${engineNames[engine]} the caller heard the agent ${seconds(firstAudioMs!)} after dialling.`
    : `On ${engineNames[engine]} the caller heard nothing and gave up after ${seconds(durationMs)}.`;
}

function stepsTable({ steps }: CallRecord): string {
  const rows = steps.map(
    ({ atMs, who, what }) => `<tr><td>${seconds(atMs)}</td><td>${who}</td><td>${escapeHtml(what)}</td></tr>`,
  );
  return `<div class="scroll"><table><tr><th>after dialling</th><th>who</th><th>what</th></tr>${rows.join('\n')}</table></div>`;
}

/** A picture beside another, where the page is wide enough for both. */
const besideStyle = `<style>.beside{display:grid;grid-template-columns:minmax(0,540px) minmax(0,400px)}\
.beside h4{margin:0 0 .5rem;font-weight:400}@media (max-width:58rem){.beside{grid-template-columns:minmax(0,1fr)}}</style>`;

function heard({ record, wav }: PlayedCall, spanMs: number): string {
  const { telephone } = record;
  const sound = `${renderLevelChart(record, spanMs, telephone ? 'beside' : 'alone')}
<p><audio controls src="data:audio/wav;base64,${wav.toString('base64')}"></audio></p>`;
  const messages = telephone && `<h4 class="faint">Messages of the call</h4>${ladderPicture(telephone)}`;
  return `<h3>on ${engineNames[record.engine]}</h3>
${messages ? `${besideStyle}<div class="beside"><div>${sound}</div><div>${messages}</div></div>` : sound}`;
}

/** The page of the demo: every call that was played, to one time scale, and the waterfall of the agent's connect. */
export function renderDemoPage(calls: readonly PlayedCall[]): string {
  const spanMs = Math.max(...calls.map(({ record }) => record.durationMs)) * 1.02;
  const what: PageSection = {
    heading: 'What the caller heard',
    html: `<p class="faint">How loud it was for the caller over time, in dBFS (0 is the loudest there is). Grey: it rings, nobody has answered. The agent’s noise filter: ${escapeHtml(calls[0]?.record.filterBehaviour ?? '')}.</p>
${calls.map((call) => heard(call, spanMs)).join('\n')}`,
  };
  const steps = calls.map(({ record }) => ({
    heading: `Step by step, on ${engineNames[record.engine]}`,
    html: stepsTable(record),
  }));
  const hint = calls.some(({ record }) => record.engine === 'native')
    ? []
    : [
        {
          heading: 'And without offhook?',
          html: `<p><code>npx offhook demo ${calls.some(({ record }) => record.telephone) ? '--sip ' : ''}--native</code> plays the same call on LiveKit’s native engine and adds it to this page.</p>`,
        },
      ];
  return renderTimelinePage(
    calls.flatMap(({ record }) => [
      ...(record.telephone ? [record.telephone.timeline] : []),
      ...record.timelines,
    ]),
    {
      title:
        calls[0]?.record.filterBehaviour === noFilter
          ? 'A call to an agent'
          : 'A call to an agent whose noise filter never loads',
      summary: calls.map(({ record }) => summarize(record)).join(' '),
      sections: [what, ...hint, ...steps],
      howToMake: `npm run demo${calls.some(({ record }) => record.telephone) ? ' -- --sip' : ''}`,
    },
  );
}
