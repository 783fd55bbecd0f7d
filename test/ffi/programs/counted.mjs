// A program that sends and receives audio, video and data, counts what it captures and sees, and reads the statistics of
// its engine. Unmodified rtc-node, so its engine is whatever the environment selects. Takes the commands of
// test/support/commands.mjs.
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
  VideoCodec,
  VideoFrame,
  VideoSource,
  VideoStream,
} from '@livekit/rtc-node';
import { takeCommands, tell } from '../../support/commands.mjs';

const sampleRate = 48_000;
const [width, height, framesPerSecond] = [320, 180, 15];
const room = new Room();
const tracks = new Map();
const counted = { samplesCaptured: 0, framesCaptured: 0, samplesHeard: 0, framesSeen: 0, messages: 0 };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function speak(source) {
  for (let at = 0; ; at += 480) {
    const frame = AudioFrame.create(sampleRate, 1, 480);
    // A quarter of full scale, 440 Hz: 0.177 of full scale as root mean square.
    for (let i = 0; i < 480; i++)
      frame.data[i] = 8_192 * Math.sin((2 * Math.PI * 440 * (at + i)) / sampleRate);
    await source.captureFrame(frame);
    counted.samplesCaptured += 480;
  }
}

async function film(source) {
  const data = new Uint8Array((width * height * 3) / 2);
  const startedMs = performance.now();
  for (let count = 0; ; count++) {
    data.fill(128).fill(40 + ((count * 8) % 160), 0, width * height);
    source.captureFrame(new VideoFrame(data, width, height, VideoBufferType.I420));
    counted.framesCaptured++;
    await sleep(Math.max(1, startedMs + ((count + 1) * 1_000) / framesPerSecond - performance.now()));
  }
}

async function hear(track) {
  for await (const frame of new AudioStream(track, { sampleRate, numChannels: 1 }))
    counted.samplesHeard += frame.samplesPerChannel;
}

async function see(track) {
  for await (const _ of new VideoStream(track)) if (++counted.framesSeen === 1) tell('seen');
}

/** Of a message its fields, with numbers for those of 64 bits and for names. */
function plain(value) {
  if (typeof value === 'bigint') return Number(value);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

const entries = (stats) => stats.map(({ stats: { case: name, value } }) => ({ name, ...plain(value) }));

async function statsOf(track) {
  const client = globalThis._ffiClientInstance;
  const requestAsyncId = client.getNextRequestAsyncId();
  const answered = client.waitFor(
    ({ message }) => message.case === 'getStats' && message.value.asyncId === requestAsyncId,
  );
  client.request({
    message: { case: 'getStats', value: { trackHandle: track.ffi_handle.handle, requestAsyncId } },
  });
  return entries((await answered).stats);
}

const commands = {
  async connect({ url, token, options = {} }) {
    room.on(RoomEvent.TrackSubscribed, (track, _publication, { identity }) => {
      const kind = track.kind === TrackKind.KIND_AUDIO ? 'audio' : 'video';
      tracks.set(`remote ${kind}`, track);
      void (kind === 'audio' ? hear(track) : see(track));
      tell('subscribed', { kind, identity, sid: track.sid });
    });
    room.on(RoomEvent.DataReceived, () => {
      counted.messages++;
      tell('data');
    });
    await room.connect(url, token, { autoSubscribe: true, dynacast: false, ...options });
  },
  async publish() {
    const audio = new AudioSource(sampleRate, 1);
    const video = new VideoSource(width, height);
    const local = {
      audio: LocalAudioTrack.createAudioTrack('voice', audio),
      video: LocalVideoTrack.createVideoTrack('camera', video),
    };
    void speak(audio);
    void film(video);
    const sids = {};
    for (const [kind, track] of Object.entries(local)) {
      tracks.set(`local ${kind}`, track);
      const options = new TrackPublishOptions({
        source: kind === 'audio' ? TrackSource.SOURCE_MICROPHONE : TrackSource.SOURCE_CAMERA,
        videoCodec: VideoCodec.VP8,
        simulcast: false,
      });
      sids[kind] = (await room.localParticipant.publishTrack(track, options)).sid;
    }
    return sids;
  },
  async sendData({ bytes }) {
    await room.localParticipant.publishData(new Uint8Array(bytes).fill(7), { reliable: true });
  },
  /** Statistics of each track and of the room, and what this program has counted by then. */
  async stats() {
    const of = {};
    for (const [name, track] of tracks) of[name] = await statsOf(track);
    const { publisherStats, subscriberStats } = await room.getRtcStats();
    return {
      tracks: of,
      publisher: entries(publisherStats),
      subscriber: entries(subscriberStats),
      counted,
      atMs: Date.now(),
    };
  },
};

await takeCommands(commands);
process.exit(0);
