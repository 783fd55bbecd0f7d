// One side of the rooms of ../soak.mjs: unmodified @livekit/rtc-node. Commands come as JSON lines, as in client.mjs.
import { createInterface } from 'node:readline';
import {
  AudioFrame,
  AudioSource,
  AudioStream,
  LocalAudioTrack,
  LocalVideoTrack,
  Room,
  RoomEvent,
  TrackKind,
  TrackPublishOptions,
  TrackSource,
  VideoBufferType,
  VideoFrame,
  VideoSource,
  VideoStream,
} from '@livekit/rtc-node';

const sampleRate = 24_000;
const frameMs = 20;
const messageEveryMs = 100;
const pictureEveryMs = 200;
const [width, height] = [160, 90];
const answerTimeoutMs = 20_000;

const rooms = new Map();
const errors = [];
process.on('unhandledRejection', (error) => errors.push(`unhandled rejection: ${error?.stack ?? error}`));
process.on('uncaughtException', (error) => errors.push(`uncaught exception: ${error?.stack ?? error}`));

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const tone = AudioFrame.create(sampleRate, 1, (sampleRate * frameMs) / 1_000);
tone.data.forEach((_, i) => {
  tone.data[i] = 8_000 * Math.sin((2 * Math.PI * 500 * i) / sampleRate);
});
const pictures = [80, 160].map(
  (luma) =>
    new VideoFrame(
      new Uint8Array(width * height * 1.5).fill(128).fill(luma, 0, width * height),
      width,
      height,
      VideoBufferType.I420,
    ),
);

async function count(stream, state, name) {
  for await (const _frame of stream) state[name] += 1;
}

function listen(room, state) {
  room.on(RoomEvent.TrackSubscribed, (track) => {
    const isAudio = track.kind === TrackKind.KIND_AUDIO;
    const stream = isAudio ? new AudioStream(track, sampleRate, 1) : new VideoStream(track);
    void count(stream, state, isAudio ? 'audioFrames' : 'videoFrames');
  });
  room.on(RoomEvent.DataReceived, (payload) => {
    const number = Number(new TextDecoder().decode(payload));
    if (number !== state.received) state.isInOrder = false;
    state.received += 1;
  });
  room.localParticipant.registerRpcMethod('received', async () => String(state.received));
}

async function speak({ room, state }) {
  const source = new AudioSource(sampleRate, 1);
  const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE });
  await room.localParticipant.publishTrack(LocalAudioTrack.createAudioTrack('voice', source), options);
  while (!state.isOver) await source.captureFrame(tone);
  await source.close();
}

async function film({ room, state }) {
  const source = new VideoSource(width, height);
  const options = new TrackPublishOptions({ source: TrackSource.SOURCE_CAMERA, simulcast: false });
  await room.localParticipant.publishTrack(LocalVideoTrack.createVideoTrack('camera', source), options);
  for (let i = 0; !state.isOver; i++) {
    source.captureFrame(pictures[i % 2]);
    await sleep(pictureEveryMs);
  }
  await source.close();
}

async function write({ room, state }) {
  while (!state.isOver) {
    await room.localParticipant.publishData(new TextEncoder().encode(String(state.sent)), { reliable: true });
    state.sent += 1;
    await sleep(messageEveryMs);
  }
}

/** How many messages the other side has. The round trip shows that both directions are up. */
async function askReceived({ room, peer }) {
  const answer = await room.localParticipant.performRpc({
    destinationIdentity: peer,
    method: 'received',
    payload: '',
    responseTimeout: answerTimeoutMs,
  });
  return Number(answer);
}

async function untilPresent({ room, peer }) {
  if (room.remoteParticipants.has(peer)) return;
  await new Promise((resolve) => {
    room.on(RoomEvent.ParticipantConnected, ({ identity }) => identity === peer && resolve());
  });
}

const commands = {
  async join({ room: name, url, token, peer, kinds, sharedKey }) {
    const room = new Room();
    const state = { sent: 0, received: 0, isInOrder: true, isOver: false, audioFrames: 0, videoFrames: 0 };
    rooms.set(name, { room, state, peer, kinds, done: undefined });
    const encryption = sharedKey && {
      encryption: { keyProviderOptions: { sharedKey: new TextEncoder().encode(sharedKey) } },
    };
    const joined = room.connect(url, token, { autoSubscribe: true, dynacast: false, ...encryption });
    await joined;
    listen(room, state);
  },
  async begin({ room: name }) {
    const entry = rooms.get(name);
    await untilPresent(entry);
    await askReceived(entry);
    const acts = { audio: speak, video: film, data: write };
    entry.done = Promise.all(entry.kinds.map((kind) => acts[kind](entry)));
    entry.done.catch((error) => errors.push(`${name}: ${error?.stack ?? error}`));
  },
  /** What was sent, and how much of it the other side has once nothing more comes. */
  async finish({ room: name }) {
    const entry = rooms.get(name);
    entry.state.isOver = true;
    await entry.done;
    const endMs = performance.now() + answerTimeoutMs;
    let received = 0;
    do {
      received = await askReceived(entry);
    } while (received < entry.state.sent && performance.now() < endMs);
    const { sent, isInOrder, audioFrames, videoFrames } = entry.state;
    return { sent, received, isInOrder, audioFrames, videoFrames };
  },
  async leave({ room: name }) {
    const entry = rooms.get(name);
    rooms.delete(name);
    if (entry) entry.state.isOver = true;
    await entry?.room.disconnect();
  },
  async errors() {
    return { errors };
  },
};

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const { id, command, ...args } = JSON.parse(line);
    commands[command](args).then(
      (value) => print({ reply: id, value: value ?? {} }),
      (error) => print({ reply: id, error: String(error?.stack ?? error) }),
    );
  })
  .on('close', () => process.exit());
print({ event: 'started', atMs: Date.now() });
