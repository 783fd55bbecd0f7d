// Video: CPU of a process that receives or sends one stream, end-to-end latency, first frame after subscribing, and how long
// the picture stands still when packets are lost. The other side is on the native engine in every case.
import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Program } from '../../test/support/program.mjs';
import { interleave } from '../bench.mjs';
import { median, summarize } from '../statistics.mjs';

const script = fileURLToPath(new URL('../programs/video.mjs', import.meta.url));
const sizes = {
  360: { width: 640, height: 360, bitrate: 800_000 },
  720: { width: 1_280, height: 720, bitrate: 1_700_000 },
};
/** As FFI numbers them: VP8 is what programs on the native engine publish by default, H.264 what those on offhook do. */
const codecs = { vp8: 0, h264: 1 };
const freezeSettleMs = 4_000;
const lossPercent = 5;
/** As WebRTC's statistics have it: a frame that comes so much later than the one before it usually does. */
const freezeFactor = 3;
const freezeMs = 150;

/** A process on `engine` that receives or sends, with one on the native engine at the other end. */
async function callOf(bench, engine, direction, film) {
  const room = bench.newRoom();
  const measured = new Program(script, { engine });
  const other = new Program(script, { engine: 'native' });
  const [publisher, viewer] = direction === 'in' ? [other, measured] : [measured, other];
  await Promise.all([measured, other].map((program) => program.waitFor('started', {}, 60_000)));
  await publisher.call('join', await bench.join(room, 'publisher'), 30_000);
  await publisher.call('film', film, 30_000);
  await viewer.call('join', await bench.join(room, 'viewer'), 30_000);
  return { measured, viewer, end: () => Promise.all([measured.stop(), other.stop()]) };
}

/** It settles for long: in the first seconds CPU includes what the engine's code costs to compile. */
async function oneRun(bench, engine, direction, film, { videoMs: measureMs, videoSettleMs: settleMs }) {
  const { measured, viewer, end } = await callOf(bench, engine, direction, film);
  try {
    await delay(settleMs);
    await viewer.call('takeSeen');
    const before = await measured.call('usage');
    await delay(measureMs);
    const after = await measured.call('usage');
    const seen = await viewer.call('takeSeen');
    const seconds = (after.atMs - before.atMs) / 1_000;
    return {
      cpuMs: ((after.cpuSeconds - before.cpuSeconds) / seconds) * 1_000,
      framesPerSecond: seen.length / seconds,
      latencyMs: median(seen.map(({ latencyMs }) => latencyMs)),
    };
  } finally {
    await end();
  }
}

/** One run gives three figures; the measures of it share what was taken. */
function streamMeasures(direction, height, codec) {
  const { width, bitrate } = sizes[height];
  const film = { width, height: Number(height), bitrate, codec: codecs[codec] };
  const what = `${direction === 'in' ? 'Video received' : 'Video sent'}, ${height}p ${codec.toUpperCase()}`;
  let runs;
  const take = async (bench, runSizes) => {
    const taken = { native: [], offhook: [] };
    await interleave(bench, runSizes.videoPairs, async (engine) => {
      const run = await oneRun(bench, engine, direction, film, runSizes);
      taken[engine].push(run);
      return run.cpuMs;
    });
    return taken;
  };
  const measure = (figure, title, unit) => ({
    name: `video-${direction}-${height}-${figure === 'cpuMs' ? 'cpu' : figure === 'latencyMs' ? 'latency' : 'frames'}`,
    title: `${what}: ${title}`,
    unit,
    async run(bench, runSizes) {
      runs ??= await take(bench, runSizes);
      const of = (engine) => summarize(runs[engine].map((run) => run[figure]));
      return { native: of('native'), offhook: of('offhook') };
    },
  });
  return [
    measure('cpuMs', 'CPU of the process', 'ms per second'),
    measure('latencyMs', 'median latency, from painting a picture to reading it', 'ms'),
    measure('framesPerSecond', 'frames seen', 'frames per second'),
  ];
}

const firstFrame = {
  name: 'video-first-frame',
  title: 'Video: subscribing to a 360p VP8 track to its first frame',
  unit: 'ms',
  async run(bench, { pairs }) {
    const room = bench.newRoom();
    const publisher = new Program(script, { engine: 'native' });
    const viewers = {};
    try {
      await publisher.waitFor('started', {}, 60_000);
      await publisher.call('join', await bench.join(room, 'publisher'), 30_000);
      await publisher.call('film', { ...sizes[360], codec: codecs.vp8 }, 30_000);
      for (const engine of ['native', 'offhook']) {
        viewers[engine] = new Program(script, { engine });
        await viewers[engine].waitFor('started', {}, 60_000);
        await viewers[engine].call(
          'join',
          { ...(await bench.join(room, engine)), autoSubscribe: false },
          30_000,
        );
        await viewers[engine].call('subscribeOnce', {}, 30_000);
      }
      const values = await interleave(bench, Math.min(pairs, 15), async (engine) => {
        // Beyond the time in which a server sends no second key frame.
        await delay(700);
        return viewers[engine].call('subscribeOnce', {}, 30_000);
      });
      return { native: summarize(values.native), offhook: summarize(values.offhook) };
    } finally {
      await Promise.all([publisher, ...Object.values(viewers)].map((program) => program.stop()));
    }
  },
};

/** Milliseconds in a minute in which the picture stood still. */
function frozen(seen) {
  const gaps = seen.slice(1).map(({ atMs }, index) => atMs - seen[index].atMs);
  const usual = median(gaps);
  const limit = Math.max(freezeFactor * usual, usual + freezeMs);
  const total = gaps.filter((gap) => gap > limit).reduce((sum, gap) => sum + gap, 0);
  return (total * 60_000) / (seen.at(-1).atMs - seen[0].atMs);
}

const table = 'offhook_bench';
const nft = (...args) => execFileSync('nft', args, { stdio: ['ignore', 'ignore', 'pipe'] });

const freeze = {
  name: 'video-freeze',
  title: `Video received, 360p VP8, ${lossPercent} % of the server's packets lost: time that the picture stands still`,
  unit: 'ms per minute',
  async run(bench, { videoPairs, videoMs }) {
    const values = await interleave(bench, videoPairs, async (engine) => {
      const film = { ...sizes[360], codec: codecs.vp8 };
      const { viewer, end } = await callOf(bench, engine, 'in', film);
      try {
        await delay(freezeSettleMs);
        nft('add', 'table', 'inet', table);
        nft('add', 'chain', 'inet', table, 'input', '{ type filter hook input priority 0; }');
        const port = String(bench.server.udpPort);
        nft(
          'add',
          'rule',
          'inet',
          table,
          'input',
          'udp',
          'sport',
          port,
          'numgen',
          'random',
          'mod',
          '100',
          '<',
          String(lossPercent),
          'drop',
        );
        await viewer.call('takeSeen');
        await delay(2 * videoMs);
        return frozen(await viewer.call('takeSeen'));
      } finally {
        try {
          nft('delete', 'table', 'inet', table);
        } catch {
          // It was never made: nft is absent, or this is not root.
        }
        await end();
      }
    });
    return { native: summarize(values.native), offhook: summarize(values.offhook) };
  },
};

export const video = [
  ...streamMeasures('in', 360, 'vp8'),
  ...streamMeasures('in', 720, 'vp8'),
  ...streamMeasures('out', 360, 'h264'),
  ...streamMeasures('out', 720, 'h264'),
  firstFrame,
  freeze,
];
