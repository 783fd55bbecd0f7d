// The table of the fault bench for people: Markdown and a chart.
const engines = ['native', 'offhook'];

const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

function connectCell({ outcome, connectMs, hearsMs, heardMs }) {
  if (outcome === 'connected') {
    const call = [hearsMs, heardMs].every((ms) => ms !== undefined && ms !== null)
      ? `, both ends hear after ${seconds(Math.max(hearsMs, heardMs))}`
      : '';
    const mute =
      call === '' && (hearsMs !== undefined || heardMs !== undefined) ? ', one end hears nothing' : '';
    return `connected after ${seconds(connectMs)}${call}${mute}`;
  }
  if (outcome === 'failed') return `error after ${seconds(connectMs)}`;
  return outcome === 'gave-up' ? `still hanging after ${seconds(connectMs)}` : outcome;
}

function directionWords({ lost, doubled, inOrder }) {
  return lost + doubled === 0 && inOrder
    ? 'all'
    : `${lost} lost, ${doubled} doubled${inOrder ? '' : ', out of order'}`;
}

function dataWords(data) {
  if (!data) return 'reliable packets unknown';
  const complete = data.outgoing.lost + data.incoming.lost === 0 ? ` within ${seconds(data.afterMs)}` : '';
  return `reliable packets out: ${directionWords(data.outgoing)}, in: ${directionWords(data.incoming)}${complete}`;
}

function callCell({ outcome, recoverMs, silenceMs, data }) {
  if (outcome !== 'recovered') return outcome;
  const heard =
    silenceMs === 0
      ? 'no silence'
      : `${seconds(silenceMs)} of silence, both ends hear after ${seconds(recoverMs)}`;
  return `${heard}; ${dataWords(data)}`;
}

const cellOf = (scenario, result) => {
  if (!result) return '–';
  return scenario.kind === 'call' ? callCell(result) : connectCell(result);
};

const inCell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function part(scenarios, table, kind, heading) {
  const rows = scenarios
    .filter((scenario) => scenario.kind === kind && table[scenario.id])
    .map((scenario) => [
      scenario.title,
      ...engines.map((engine) => cellOf(scenario, table[scenario.id][engine])),
    ]);
  const lines = [['what is broken', ...engines], ['---', '---', '---'], ...rows];
  return `## ${heading}\n\n${lines.map((cells) => `| ${cells.map(inCell).join(' | ')} |`).join('\n')}\n`;
}

/** What each engine said, per scenario: its error, and the lines of its log that tell of trouble. */
function words(scenarios, table) {
  const parts = [];
  for (const scenario of scenarios) {
    for (const engine of engines) {
      const result = table[scenario.id]?.[engine];
      if (!result || (!result.error && !result.log?.length)) continue;
      const lines = [result.error && `error: ${result.error}`, ...(result.log ?? [])].filter(Boolean);
      parts.push(`### ${scenario.title}, ${engine}\n\n\`\`\`text\n${lines.join('\n')}\n\`\`\`\n`);
    }
  }
  return `## What they said\n\n${parts.join('\n')}`;
}

const preface = `# Faults

What happens to an unmodified \`@livekit/rtc-node\` program when the network or the server breaks, on LiveKit's native
engine and on offhook. Each cell is one run, or the median of 25 where packets are lost at random, on a network of its own:
three Linux network namespaces (client, router, server), with nftables rules on the router as the faults, and a real
livekit-server. The other end of each call is on the native engine, which the fault does not touch; faults of the server
hit both ends, so there both are on the same engine. A cluster is whole again when it has noticed that the node is down,
3 to 5 s after its end: before that, nobody can join the rooms of that node. The machine had two cores and was busy with
other work, for both engines alike: times under a second are shorter on a quiet one. Made by \`npm run bench:faults -- --docs\`.

![Time to the end of connect, or the longest silence in the call](faults.svg)
`;

export function renderTable(scenarios, table) {
  return [
    preface,
    part(scenarios, table, 'connect', 'Broken before connecting'),
    part(
      scenarios,
      table,
      'call',
      'Broken in a call: times are from when the network or the server is whole again',
    ),
    words(scenarios, table),
  ].join('\n');
}

const rowHeight = 52;
const top = 118;
const left = 10;
/** A phone of 390 pixels shows this, beside a page's margins, at more than nine tenths of its size. */
const width = 384;
/** For the figure behind the longest bar. */
const labelWidth = 152;
const limitMs = 60_000;
const barHeight = 13;

const escapeXml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** Two slanted cuts near the end of a bar that is longer than the axis. */
const broken = (x, y) =>
  [x - 18, x - 11]
    .map((at) => `<path class="cut" d="M${at} ${y + barHeight + 2}l5 -${barHeight + 4}"/>`)
    .join('');

function describeBar(scenario, { outcome, silenceMs, connectMs }) {
  const ms = scenario.kind === 'call' ? silenceMs : connectMs;
  const isGood = ['connected', 'recovered'].includes(outcome);
  const time = ms === 0 ? 'no silence' : ms !== undefined && seconds(ms);
  return { ms, isGood, label: [time, !isGood && outcome].filter(Boolean).join(', ') };
}

/**
 * Bars on a logarithmic scale from 10 ms to a minute: to the end of connect, or the longest silence in the call. Names stand
 * above their bars, so that the picture can be read on a phone.
 */
export function renderChart(scenarios, table) {
  const shown = scenarios.filter(({ id }) => table[id]);
  const x = (ms) =>
    left + ((width - left - labelWidth) * Math.log10(Math.max(ms, 10) / 10)) / Math.log10(limitMs / 10);
  const parts = shown.flatMap((scenario, row) => {
    const y = top + row * rowHeight;
    const bars = engines.map((engine, index) => {
      const result = table[scenario.id][engine];
      if (!result) return '';
      const { ms = limitMs, isGood, label } = describeBar(scenario, result);
      const length = Math.max(2, Math.min(x(ms), x(limitMs)) - left);
      const at = y + 18 + index * (barHeight + 2);
      return `<rect class="${engine}${isGood ? '' : ' bad'}" x="${left}" y="${at}" width="${length.toFixed(1)}" height="${barHeight}"/>\
${ms > limitMs ? broken(left + length, at) : ''}<text x="${(left + length + 5).toFixed(1)}" y="${at + 11}" font-size="12">${escapeXml(label)}</text>`;
    });
    return [`<text x="${left}" y="${y + 12}" font-weight="600">${escapeXml(scenario.title)}</text>`, ...bars];
  });
  const bottom = top + shown.length * rowHeight;
  const ticks = [10, 100, 1_000, 10_000, 60_000].map(
    (ms) =>
      `<line x1="${x(ms)}" x2="${x(ms)}" y1="110" y2="${bottom}"/>\
<text x="${x(ms)}" y="104" text-anchor="${ms === 10 ? 'start' : 'middle'}" font-size="12">${ms < 100 ? `${ms} ms` : `${ms / 1000} s`}</text>`,
  );
  const legend = engines.map(
    (engine, index) => `<rect class="${engine}" x="${left + index * 90}" y="50" width="12" height="12"/>\
<text x="${left + 17 + index * 90}" y="61">${engine}</text>`,
  );
  const height = bottom + 10;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="14">
<title>Time to the end of connect, or the longest silence in the call, for each fault and engine</title>
<style>.paper{fill:#fff}text{fill:#1c2430}line{stroke:#d8dde3}.native{fill:#b0682a}.offhook{fill:#2f6f8f}.bad{opacity:.45}.cut{stroke:#fff;stroke-width:3}
@media (prefers-color-scheme:dark){.paper{fill:#14181e}text{fill:#e6eaf0}line{stroke:#323a45}.native{fill:#d18a4b}.offhook{fill:#5aa7cc}.cut{stroke:#14181e}}</style>
<rect class="paper" width="${width}" height="${height}"/>
<text x="${left}" y="17" font-size="13">Until connect ends, or the longest silence in a call,</text>
<text x="${left}" y="35" font-size="13">on a logarithmic axis: less is better</text>
<text x="${left}" y="82" font-size="12">pale: it failed; cut: longer than the axis</text>
${[...ticks, ...legend, ...parts].join('\n')}
</svg>
`;
}
