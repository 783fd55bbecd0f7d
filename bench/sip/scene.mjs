// node bench/sip/scene.mjs [calls]: a telephone calls an agent whose noise filter never loads, so many times on offhook and on
// LiveKit's native engine, and one that has no filter on offhook: when is each call answered, and how does it end? Each call has a
// room server and an agent of its own. One line of JSON for each call, and a table at the end; with `table FILE…` the table of such lines.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const isTable = process.argv[2] === 'table';
const calls = isTable ? 0 : Number(process.argv[2] ?? 20);
const root = fileURLToPath(new URL('../..', import.meta.url));
const giveUpS = 15;

/** What the agent is: its engine, and whether it has the filter. */
const agents = {
  offhook: { engine: 'offhook', args: [] },
  native: { engine: 'native', args: ['--native'] },
  'offhook without the filter': { engine: 'offhook', args: ['--no-filter'] },
};

async function play({ engine, args }) {
  const common = ['dist/cli/main.js', 'demo', '--sip', '--give-up', String(giveUpS), '--out', 'out/scene'];
  const demo = spawn(process.execPath, [...common, ...args], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await once(demo, 'exit');
  return JSON.parse(readFileSync(`${root}out/scene/sip/${engine}.json`, 'utf8'));
}

const results = {};
const keep = (agent, call) => {
  results[agent] = [...(results[agent] ?? []), call];
};
for (const file of isTable ? process.argv.slice(3) : []) {
  for (const line of readFileSync(file, 'utf8').trim().split('\n')) {
    const { agent, ...call } = JSON.parse(line);
    if (call.end !== undefined) keep(agent, call);
  }
}
for (let i = 0; i < calls; i++) {
  for (const [agent, how] of Object.entries(agents)) {
    const { greeted, firstAudioMs, durationMs, telephone } = await play(how);
    const answer = telephone?.ladder.find(({ summary }) => summary === '200 OK (INVITE)');
    const end = telephone?.ladder.find(({ summary }) => /^(?:CANCEL|BYE)/.test(summary));
    const call = {
      greeted,
      firstAudioMs,
      durationMs,
      answeredMs: answer?.atMs,
      end: end?.summary,
      endMs: end?.atMs,
    };
    keep(agent, call);
    console.log(JSON.stringify({ agent, ...call }));
  }
}
const spread = (values) => {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const at = (q) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]);
  return sorted.length === 0 ? undefined : { least: at(0), median: at(0.5), most: at(1), n: sorted.length };
};
for (const [agent, all] of Object.entries(results)) {
  const ends = {};
  for (const { end = 'none' } of all) ends[end] = (ends[end] ?? 0) + 1;
  console.log(
    JSON.stringify({
      agent,
      calls: all.length,
      greeted: all.filter(({ greeted }) => greeted).length,
      answeredMs: spread(all.map(({ answeredMs }) => answeredMs)),
      firstAudioMs: spread(all.map(({ firstAudioMs }) => firstAudioMs)),
      endMs: spread(all.map(({ endMs }) => endMs)),
      ends,
    }),
  );
}
