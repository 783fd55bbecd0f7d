import { figure, rowsOf } from './report.mjs';

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --faint: #66707d; --paper: #fff; --line: #d8dde3; --native: #8a93a0; --offhook: #2f7d5b; --worse: #9c600c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --faint: #9aa5b3; --paper: #14181e; --line: #323a45; --native: #77818e; --offhook: #5cbf93; --worse: #e0a445; } }
body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 60rem; background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; } .faint { color: var(--faint); }
.row { display: grid; grid-template-columns: 1fr 6rem; gap: 0 1rem; padding: .5rem 0; border-bottom: 1px solid var(--line); }
.label { grid-column: 1 / 3; font-weight: 600; font-size: .9rem; } .note { grid-column: 1 / 3; font-size: .8rem; color: var(--faint); }
.bars { display: grid; grid-template-columns: 4.5rem 1fr; gap: .15rem .5rem; align-items: center; font-size: .8rem; }
.bar { position: relative; height: .8rem; border-radius: 2px; } .bar.native { background: var(--native); } .bar.offhook { background: var(--offhook); }
.value { padding-left: .4rem; position: absolute; left: 100%; top: -.2rem; white-space: nowrap; } .space { padding-right: 11rem; }
.ratio { font-size: 1.3rem; line-height: 1.1; font-variant-numeric: tabular-nums; text-align: right; align-self: center; }
.ratio small { display: block; font-size: .75rem; } .better { color: var(--offhook); } .worse { color: var(--worse); }
.wanted { font-weight: 400; color: var(--faint); white-space: nowrap; } .wanted.more { border: 1px solid; border-radius: 3px; padding: 0 .3rem; }
p { overflow-wrap: anywhere; } footer { margin-top: 2rem; font-size: .85rem; }
@media (max-width: 40rem) {
  .bars { grid-template-columns: 3.5rem 1fr; } .space { padding-right: 0; } .row { grid-template-columns: 1fr 5.5rem; gap: 0 .5rem; }
  .bar { height: .45rem; } .value { position: static; display: block; padding: .45rem 0 0; } .space { padding-bottom: 1rem; }
}
`;

const escapeHtml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

/** Runs differ by this much by chance. */
const sameWithin = 0.03;

/** What a ratio means where `higherIsBetter` or not. */
function judge(ratio, higherIsBetter) {
  if (Math.abs(ratio - 1) <= sameWithin) return 'same';
  return ratio > 1 === higherIsBetter ? 'better' : 'worse';
}

function bar(engine, value, spread, unit, longest) {
  if (value === undefined) return `<span>${engine}</span><span class="faint">no answer</span>`;
  const range = spread ? ` <span class="faint">(${figure(spread[0])} to ${figure(spread[1])})</span>` : '';
  const width = Math.max(0.5, (100 * value) / longest).toFixed(1);
  return `<span>${engine}</span><div class="space"><div class="bar ${engine}" style="width:${width}%"><span class="value">${figure(value)} ${unit}${range}</span></div></div>`;
}

function rowHtml({ label, unit, native, offhook, spread, ratio, note, higherIsBetter }) {
  const longest = Math.max(native ?? 0, offhook);
  const verdict = ratio === undefined ? '' : judge(ratio, higherIsBetter);
  const wanted = higherIsBetter
    ? '<span class="wanted more">↑ more is better</span>'
    : '<span class="wanted">↓ less is better</span>';
  return `<div class="row"><div class="label">${escapeHtml(label)} ${wanted}</div><div class="bars">
${bar('native', native, spread?.native, unit, longest)}
${bar('offhook', offhook, spread?.offhook, unit, longest)}
</div><div class="ratio ${verdict}">${ratio === undefined ? '' : `× ${ratio.toFixed(2)}<small>${verdict}</small>`}</div>${note ? `<div class="note">${escapeHtml(note)}</div>` : ''}</div>`;
}

/** The run as one self-contained page: a pair of bars and a ratio for each row, failures by name. */
export function renderBenchPage({ endedAt, version, machine, results }) {
  const rows = results.flatMap(rowsOf).map(rowHtml);
  const failed = results
    .filter((result) => result.failed)
    .map(({ title, failed: why }) => `<p>${escapeHtml(title)} failed: ${escapeHtml(why.split('\n')[0])}</p>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>offhook ${version} beside the native engine</title><style>${style}</style></head><body>
<h1>offhook ${version} beside LiveKit’s native engine</h1>
<p class="faint">${endedAt}; ${machine.cores} × ${escapeHtml(machine.cpu)}, ${machine.memoryGb} GB, ${machine.os}, Node ${machine.node}; one livekit-server, all on this machine. Load average ${machine.loadBefore.toFixed(1)} before and ${machine.loadAfter.toFixed(1)} after: where that is more than there are cores, other work was going on.
Bars are medians, with the quartiles in brackets. × is offhook’s figure divided by the native engine’s: <span class="better">green</span> where offhook is better, <span class="worse">amber</span> where it is worse, neither within ${100 * sameWithin} %.</p>
${rows.join('\n')}
${failed.join('\n')}
<footer class="faint">Made by <code>npm run bench -- --snapshot</code> in a clone of offhook.</footer>
</body></html>
`;
}
