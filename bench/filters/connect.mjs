// node bench/filters/connect.mjs [runs] [way,way]: time to connected, and to the first audible frame that came through a filter, for an
// unmodified program whose filter plugin behaves in every way that plugins do, beside one without a plugin. Each run is
// a process of its own; the ways take turns. Prints a table of medians and quartiles, in milliseconds.
import { setTimeout as delay } from 'node:timers/promises';
import { startLivekitServer } from '../../test/support/livekit-server.mjs';
import { compilePlugin } from '../../test/support/plugin/compile.mjs';
import { startParticipant } from '../../test/support/program.mjs';
import { makeToken } from '../../test/support/token.mjs';
import { summarize } from '../statistics.mjs';

const runs = Number(process.argv[2] ?? 30);
const ways = process.argv[3]?.split(',') ?? [
  'no plugin',
  'ok',
  'block',
  'spin',
  'fail:1',
  'crash',
  'exit:1',
  'garbage',
];
const room = 'filters';

const library = compilePlugin();
const server = await startLivekitServer();
const speaker = startParticipant('offhook');
await speaker.waitFor('started');
await speaker.call('connect', {
  url: server.url,
  token: await makeToken(server, room, 'speaker'),
  hearing: null,
});
await speaker.call('publishTone', { hz: 440 });

async function run(way, n) {
  const withPlugin = way !== 'no plugin';
  const program = startParticipant('offhook', { OFFHOOK_LOG: 'error', OFFHOOK_PLUGIN_ON_LOAD: way });
  try {
    await program.waitFor('started');
    // The first request starts the engine's thread, and that is not what is measured here.
    const loaded = program.call('loadFilter', {
      moduleId: 'filter',
      path: withPlugin ? library : '/nowhere',
    });
    await loaded.catch(() => {});
    // As in the job processes of agents, which are there before the call is.
    await delay(1_000);
    const noiseCancellation = withPlugin ? { moduleId: 'filter', options: {} } : undefined;
    const token = await makeToken(server, room, `listener-${way}-${n}`);
    const startedAtMs = Date.now();
    const { elapsedMs } = await program.call('connect', {
      url: server.url,
      token,
      hearing: { sampleRate: 24_000, noiseCancellation },
    });
    const { atMs } = await program.waitFor('firstAudible', { identity: 'speaker' });
    return { connectMs: elapsedMs, firstAudioMs: atMs - startedAtMs };
  } finally {
    await program.stop();
  }
}

const results = new Map(ways.map((way) => [way, []]));
for (let n = 0; n < runs; n++) {
  // Another order each time.
  for (let i = 0; i < ways.length; i++) {
    const way = ways[(i + n) % ways.length];
    results.get(way).push(await run(way, n));
  }
}
await speaker.stop();
await server.stop();

const cell = (values) => {
  const { median, q1, q3 } = summarize(values);
  return `${median.toFixed(0)} (${q1.toFixed(0)} to ${q3.toFixed(0)})`;
};
console.log('| on_load | connect | first audio | runs |\n| --- | --: | --: | --: |');
for (const [way, values] of results) {
  const connect = cell(values.map(({ connectMs }) => connectMs));
  const firstAudio = cell(values.map(({ firstAudioMs }) => firstAudioMs));
  console.log(`| ${way} | ${connect} | ${firstAudio} | ${values.length} |`);
}
