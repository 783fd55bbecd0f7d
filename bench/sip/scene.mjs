// node bench/sip/scene.mjs [calls]: a telephone calls an agent whose noise filter never loads, so many times on offhook and on
// LiveKit's native engine: when is each call answered, and how does it end? Each call has a room server and an agent of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const calls = Number(process.argv[2] ?? 20);
const root = fileURLToPath(new URL('../..', import.meta.url));
const giveUpS = 15;

async function play(engine) {
  const args = ['dist/cli/main.js', 'demo', '--sip', '--give-up', String(giveUpS), '--out', 'out/demo'];
  const demo = spawn(process.execPath, engine === 'native' ? [...args, '--native'] : args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await once(demo, 'exit');
  return JSON.parse(readFileSync(`${root}out/demo/sip/${engine}.json`, 'utf8'));
}

const results = {};
for (let i = 0; i < calls; i++) {
  for (const engine of ['offhook', 'native']) {
    const { greeted, firstAudioMs, durationMs, telephone } = await play(engine);
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
    results[engine] = [...(results[engine] ?? []), call];
    console.error(engine, JSON.stringify(call));
  }
}
const spread = (values) => {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  const at = (q) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]);
  return sorted.length === 0 ? undefined : { least: at(0), median: at(0.5), most: at(1), n: sorted.length };
};
for (const [engine, all] of Object.entries(results)) {
  const ends = {};
  for (const { end = 'none' } of all) ends[end] = (ends[end] ?? 0) + 1;
  console.log(
    JSON.stringify({
      engine,
      calls: all.length,
      greeted: all.filter(({ greeted }) => greeted).length,
      answeredMs: spread(all.map(({ answeredMs }) => answeredMs)),
      firstAudioMs: spread(all.map(({ firstAudioMs }) => firstAudioMs)),
      endMs: spread(all.map(({ endMs }) => endMs)),
      ends,
    }),
  );
}
