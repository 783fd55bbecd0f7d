// One end of a call, on whichever engine its environment selects: an unmodified @livekit/rtc-node program.
// Use: node caller.mjs URL TOKEN. It publishes a tone and numbered reliable packets, and prints one JSON line for each
// thing that happens: connected, failed, events of the room, hearing or silence of the other end. `report` on its
// standard input prints what it counted; `end` disconnects. FILTER_PLUGIN names an audio filter plugin that it loads
// first and asks for on what it hears.
import { createInterface } from 'node:readline';
import {
  AudioFilter,
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

const sampleRate = 48_000;
const toneHz = 440;
const audibleLevel = 500;
const silentAfterMs = 200;
const packetEveryMs = 100;
const connectGiveUpMs = Number(process.env.CONNECT_GIVE_UP_MS ?? 60_000);

const [url, token] = process.argv.slice(2);
// Made before the clock starts: an engine begins to work with the first request, in agents long before a call.
const source = new AudioSource(sampleRate, 1);
const startedMs = performance.now();
const say = (what, more = {}) =>
  console.log(
    JSON.stringify({ what, atMs: Math.round(performance.now() - startedMs), wallMs: Date.now(), ...more }),
  );

const filterId = 'bench.filter';
const noiseCancellation = process.env.FILTER_PLUGIN ? { moduleId: filterId, options: {} } : undefined;
if (process.env.FILTER_PLUGIN) new AudioFilter(filterId, process.env.FILTER_PLUGIN);

const received = [];
let sent = 0;
let hearing = false;
let lastHeardMs = 0;

function heard(frame) {
  let sum = 0;
  for (const sample of frame.data) sum += sample * sample;
  if (Math.sqrt(sum / frame.data.length) < audibleLevel) return;
  lastHeardMs = performance.now();
  if (!hearing) say('hears');
  hearing = true;
}

async function listen(track) {
  for await (const frame of new AudioStream(track, { sampleRate, numChannels: 1, noiseCancellation }))
    heard(frame);
}

async function speak(source) {
  const samples = sampleRate / 100;
  for (let at = 0; ; at += samples) {
    const frame = AudioFrame.create(sampleRate, 1, samples);
    for (let i = 0; i < samples; i++) {
      frame.data[i] = 10_000 * Math.sin((2 * Math.PI * toneHz * (at + i)) / sampleRate);
    }
    await source.captureFrame(frame);
  }
}

const room = new Room();
for (const event of [
  RoomEvent.Reconnecting,
  RoomEvent.Reconnected,
  RoomEvent.Disconnected,
  RoomEvent.ParticipantConnected,
  RoomEvent.ParticipantDisconnected,
  RoomEvent.LocalTrackPublished,
  RoomEvent.TrackSubscribed,
  RoomEvent.TrackUnsubscribed,
]) {
  room.on(event, () => say(event));
}
room.on(RoomEvent.TrackSubscribed, (track) => {
  if (track.kind === TrackKind.KIND_AUDIO) void listen(track);
});
room.on(RoomEvent.DataReceived, (payload) =>
  received.push(new DataView(payload.slice().buffer).getUint32(0)),
);

const giveUp = setTimeout(() => {
  say('gave-up');
  process.exit(1);
}, connectGiveUpMs);
try {
  await room.connect(url, token, { autoSubscribe: true, dynacast: false });
  say('connected');
} catch (error) {
  say('failed', { error: String(error?.message ?? error) });
  process.exit(1);
} finally {
  clearTimeout(giveUp);
}

const options = new TrackPublishOptions();
options.source = TrackSource.SOURCE_MICROPHONE;
await room.localParticipant
  .publishTrack(LocalAudioTrack.createAudioTrack('tone', source), options)
  .catch((error) => say('publish-failed', { error: String(error.message) }));
speak(source).catch((error) => say('capture-failed', { error: String(error.message) }));

setInterval(() => {
  if (hearing && performance.now() - lastHeardMs > silentAfterMs) {
    hearing = false;
    say('silence', { sinceMs: Math.round(lastHeardMs - startedMs) });
  }
}, 20);
setInterval(() => {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, sent);
  sent += 1;
  room.localParticipant.publishData(payload, { reliable: true }).catch(() => {});
}, packetEveryMs);

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'report') say('report', { sent, received });
  if (line === 'end') {
    await room.disconnect();
    process.exit(0);
  }
}
