// Rooms that come and go for minutes: in each two unmodified rtc-node programs speak, film and send reliable messages both
// ways, some rooms end-to-end encrypted. Fails when a message is lost or out of order, when nothing is heard or seen, when a
// program has an error that nobody handled, or when memory grows.
// Prints memory and counts once a minute.
//   node bench/soak.mjs [--minutes 60] [--rooms 20] [--seed 1] [--kinds audio,video,data] [--stay 10-40]
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Program } from '../test/support/program.mjs';
import { makeToken } from '../test/support/token.mjs';
import { usageOfTree } from './process-tree.mjs';
import { median } from './statistics.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    rooms: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    kinds: { type: 'string', default: 'audio,video,data' },
    stay: { type: 'string', default: '10-40' },
  },
});
const durationMs = Number(values.minutes) * 60_000;
const slots = Number(values.rooms);
const kinds = values.kinds.split(',');
const [shortestStayMs, longestStayMs] = values.stay.split('-').map((seconds) => Number(seconds) * 1_000);
const callTimeoutMs = 60_000;
const sampleEveryMs = 10_000;
const samplesPerLine = 6;
/** Of the memory in the second quarter of the time, when V8 and the allocator have settled. */
const allowedGrowth = 1.1;

const script = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Numbers from 0 to 1 that are the same for the same seed. */
function seeded(seed) {
  let state = seed >>> 0 || 1;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const random = seeded(Number(values.seed));
const server = new Program(script('../test/support/room-server.mjs'), { engine: 'native' });
const left = new Program(script('programs/soak-side.mjs'), { engine: 'offhook' });
const right = new Program(script('programs/soak-side.mjs'), { engine: 'offhook' });
await server.waitForLine('"url"');
const { url } = JSON.parse(server.output.find((line) => line.includes('"url"')));
await Promise.all([left.waitFor('started'), right.waitFor('started')]);

const sides = [
  { program: left, identity: 'left', peer: 'right' },
  { program: right, identity: 'right', peer: 'left' },
];
const problems = [];
const totals = { rooms: 0, messages: 0, audioFrames: 0, videoFrames: 0 };
const memory = [];
const startedMs = performance.now();
const elapsedMs = () => performance.now() - startedMs;

async function playRoom(room, isEncrypted) {
  const stayMs = shortestStayMs + random() * (longestStayMs - shortestStayMs);
  const both = (command, more = () => ({})) =>
    Promise.all(
      sides.map(async (side) => side.program.call(command, { room, ...(await more(side)) }, callTimeoutMs)),
    );
  await both('join', async ({ identity, peer }) => ({
    url,
    peer,
    kinds,
    token: await makeToken({ url, apiKey: 'devkey', apiSecret: 'secret' }, room, identity),
    ...(isEncrypted ? { sharedKey: room } : {}),
  }));
  await both('begin');
  await delay(stayMs);
  for (const { sent, received, isInOrder, audioFrames, videoFrames } of await both('finish')) {
    totals.messages += sent;
    totals.audioFrames += audioFrames;
    totals.videoFrames += videoFrames;
    if (received !== sent) problems.push(`${room}: ${sent - received} of ${sent} messages are lost`);
    if (!isInOrder) problems.push(`${room}: messages came out of order`);
    if (kinds.includes('audio') && audioFrames === 0)
      problems.push(`${room}: nothing was heard in ${Math.round(stayMs / 1_000)} s`);
    if (kinds.includes('video') && videoFrames === 0)
      problems.push(`${room}: nothing was seen in ${Math.round(stayMs / 1_000)} s`);
  }
  await both('leave');
  totals.rooms += 1;
}

async function playSlot(slot) {
  await delay((slot * shortestStayMs) / slots);
  for (let count = 0; elapsedMs() < durationMs; count++) {
    const room = `soak-${slot}-${count}`;
    try {
      await playRoom(room, (slot + count) % 2 === 1);
    } catch (error) {
      problems.push(`${room}: ${error.message}`);
      await Promise.all(
        sides.map(({ program }) => program.call('leave', { room }, callTimeoutMs).catch(() => {})),
      );
    }
  }
}

function sample() {
  const rssMb = (program) => usageOfTree([program.pid]).rssMb;
  const sampled = { atMs: elapsedMs(), server: rssMb(server), left: rssMb(left), right: rssMb(right) };
  memory.push(sampled);
  if (memory.length % samplesPerLine !== 0) return;
  const rounded = ['server', 'left', 'right'].map((name) => `${name} ${sampled[name].toFixed(0)}`);
  console.log(
    `${(sampled.atMs / 60_000).toFixed(0)} min: MB ${rounded.join(', ')}; ${totals.rooms} rooms, ${totals.messages} messages, ` +
      `${problems.length} problems`,
  );
}

const sampling = setInterval(sample, sampleEveryMs);
const slotsPlayed = Array.from({ length: slots }, (_, slot) => playSlot(slot));
await Promise.all(slotsPlayed);
clearInterval(sampling);

for (const { program, identity } of sides) {
  for (const error of (await program.call('errors')).errors) problems.push(`${identity}: ${error}`);
}
const quarter = (which, name) =>
  median(
    memory
      .filter(({ atMs }) => Math.floor((atMs / elapsedMs()) * 4) === which)
      .map((sampled) => sampled[name]),
  );
for (const name of ['server', 'left', 'right']) {
  const [second, last] = [quarter(1, name), quarter(3, name)];
  console.log(
    `memory of ${name}: ${second.toFixed(0)} MB in the second quarter, ${last.toFixed(0)} MB in the last`,
  );
  if (last > second * allowedGrowth)
    problems.push(`the memory of ${name} grew by ${(last / second).toFixed(2)}`);
}
console.log(
  `${(elapsedMs() / 60_000).toFixed(1)} minutes, ${slots} rooms at a time: ${totals.rooms} rooms, ${totals.messages} messages, ` +
    `${totals.audioFrames} frames of audio, ${totals.videoFrames} of video`,
);
for (const problem of problems) console.log(problem);
console.log(problems.length === 0 ? 'no problem' : `${problems.length} problems`);
await Promise.all([left.stop(), right.stop(), server.stop()]);
process.exit(problems.length === 0 ? 0 : 1);
