import { figure, rowsOf } from './report.mjs';

/** A run as the page docs/bench/README.md: what was measured, where, and what failed. */
export function renderSnapshot({ endedAt, version, machine, results }) {
  const rows = results
    .flatMap(rowsOf)
    // A record of before a measure existed has no figure for it.
    .filter(({ offhook }) => offhook !== undefined)
    .map(({ label, unit, native, offhook, ratio, note }) =>
      [
        label,
        native === undefined ? 'no answer' : `${figure(native)} ${unit}`,
        `${figure(offhook)} ${unit}`,
        ratio === undefined ? '' : ratio.toFixed(2),
        note ?? '',
      ].join(' | '),
    );
  const failed = results
    .filter((result) => result.failed)
    .map(({ title, failed: why }) => `- ${title} failed: ${why.split('\n')[0]}`);
  return `# A run of the benchmark

\`npm run bench -- --snapshot\` wrote this page, \`bench.json\` and \`bench.html\` beside it. [bench/README.md](../../bench/README.md) says what
each measure is and how to read them: the ratio is offhook's figure divided by the native engine's, in the same run.

offhook ${version}, ${endedAt}; ${machine.cores} × ${machine.cpu}, ${machine.memoryGb} GB, ${machine.os}, Node ${machine.node}; one livekit-server, all on this machine. Load average ${machine.loadBefore.toFixed(1)} before and ${machine.loadAfter.toFixed(1)} after: where that is more than there are cores, other work was going on.

| measure | native engine | offhook | ratio | |
| --- | --- | --- | --- | --- |
${rows.map((row) => `| ${row} |`).join('\n')}
${failed.length > 0 ? `\n${failed.join('\n')}\n` : ''}`;
}
