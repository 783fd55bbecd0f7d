// The program that is measured: unmodified @livekit/rtc-node on whichever engine its environment selects. It takes the
// commands of test/support/commands.mjs.
import {
  AudioFrame,
  AudioSource,
  AudioStream,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackKind,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node';
// Loads the filter that NOISE_FILTER_LIBRARY names, if it names one.
import '../../examples/noise-filter/index.mjs';
import { takeCommands } from '../../test/support/commands.mjs';
import { threadUsage } from './threads.mjs';

// What a voice agent sends and hears: speech at 24 kHz, mono.
const sampleRate = 24_000;
const frameMs = 20;
const toneHz = 440;
const amplitude = 10_000;

const frames = Array.from({ length: 1_000 / frameMs }, (_, index) => {
  const length = (sampleRate * frameMs) / 1_000;
  const frame = AudioFrame.create(sampleRate, 1, length);
  for (let i = 0; i < length; i++) {
    frame.data[i] = amplitude * Math.sin((2 * Math.PI * toneHz * (index * length + i)) / sampleRate);
  }
  return frame;
});

const rooms = [];
let framesHeard = 0;
const stopped = false;

const connectOptions = { autoSubscribe: true, dynacast: false };

async function speak(source) {
  for (let i = 0; !stopped; i++) await source.captureFrame(frames[i % frames.length]);
}

async function publish(room) {
  const source = new AudioSource(sampleRate, 1);
  const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE });
  await room.localParticipant.publishTrack(LocalAudioTrack.createAudioTrack('voice', source), options);
  void speak(source);
}

function hear(room) {
  room.on(RoomEvent.TrackSubscribed, async (track) => {
    if (track.kind !== TrackKind.KIND_AUDIO) return;
    for await (const _frame of new AudioStream(track, sampleRate, 1)) framesHeard += 1;
  });
}

async function openRoom({ url, token }, key) {
  const room = new Room();
  rooms.push(room);
  hear(room);
  const encryption = key && { keyProviderOptions: { sharedKey: new TextEncoder().encode(key) } };
  await room.connect(url, token, encryption ? { ...connectOptions, encryption } : connectOptions);
  await publish(room);
}

/** Settles when all packets that `countPackets` waits for have come. */
let lastPacketAtMs;

const commands = {
  /** Milliseconds from the call of connect to its return; the room is left again. */
  async connectOnce({ url, token }) {
    const room = new Room();
    const startedMs = performance.now();
    await room.connect(url, token, connectOptions);
    const elapsedMs = performance.now() - startedMs;
    await room.disconnect();
    return elapsedMs;
  },
  /** Joins and speaks at once. The answer is when it was asked to, in milliseconds since 1970. */
  async joinAndSpeak(join) {
    const startedAtMs = Date.now();
    await openRoom(join);
    return startedAtMs;
  },
  async openRooms({ joins, key }) {
    for (const join of joins) await openRoom(join, key);
  },
  async leave() {
    await Promise.all(rooms.splice(0).map((room) => room.disconnect()));
  },
  async usage() {
    const { user, system } = process.cpuUsage();
    return {
      atMs: performance.now(),
      rssMb: process.memoryUsage().rss / 2 ** 20,
      cpuSeconds: (user + system) / 1e6,
      threads: threadUsage(),
      framesHeard,
    };
  },
  async join({ url, token }) {
    const room = new Room();
    rooms.push(room);
    await room.connect(url, token, connectOptions);
    room.localParticipant.registerRpcMethod('echo', async ({ payload }) => payload);
  },
  /** Milliseconds of each of `count` RPC round trips, one after the other. */
  async roundTrips({ to, count, payload }) {
    const elapsedMs = [];
    for (let i = 0; i < count; i++) {
      const startedMs = performance.now();
      await rooms[0].localParticipant.performRpc({ destinationIdentity: to, method: 'echo', payload });
      elapsedMs.push(performance.now() - startedMs);
    }
    return elapsedMs;
  },
  /** Sends `count` reliable packets as fast as the engine takes them; the answer is when the first was sent. */
  async flood({ count, bytes }) {
    const payload = new Uint8Array(bytes);
    const startedAtMs = Date.now();
    for (let i = 0; i < count; i++) await rooms[0].localParticipant.publishData(payload, { reliable: true });
    return startedAtMs;
  },
  /** Counts packets from now on; `lastPacket` resolves when `count` have come. */
  async countPackets({ count }) {
    let received = 0;
    lastPacketAtMs = new Promise((resolve) => {
      const onData = () => {
        received += 1;
        if (received < count) return;
        rooms[0].off(RoomEvent.DataReceived, onData);
        resolve(Date.now());
      };
      rooms[0].on(RoomEvent.DataReceived, onData);
    });
  },
  /** Resolves with the time (since 1970) at which the last of the packets that are counted had come. */
  lastPacket: () => lastPacketAtMs,
};

await takeCommands(commands);
await Promise.all(rooms.map((room) => room.disconnect()));
process.exit(0);
