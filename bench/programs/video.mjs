// The program whose video is measured: unmodified @livekit/rtc-node on whichever engine its environment selects. Takes
// the commands of test/support/commands.mjs. The time at which a picture was made is painted into it, as bits of black and
// white.
import {
  LocalVideoTrack,
  Room,
  RoomEvent,
  TrackPublishOptions,
  TrackSource,
  VideoBufferType,
  VideoFrame,
  VideoSource,
  VideoStream,
} from '@livekit/rtc-node';
import { takeCommands } from '../../test/support/commands.mjs';
import { threadUsage } from './threads.mjs';

const bits = 24;
const room = new Room();
const seen = [];
let firstFrame;
let publication;
const cameras = [];

const cellSize = (width) => Math.floor(width / bits);

/** Pictures that move and are not the same everywhere, made before anything is measured. */
function pictures(width, height) {
  return Array.from({ length: 30 }, (_, count) => {
    const data = new Uint8Array((width * height * 3) / 2).fill(128);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        data[y * width + x] = 40 + ((x * 3 + y * 2 + count * 8) % 160) + ((x * y) % 13);
      }
    }
    return data;
  });
}

function stamp(data, width, value) {
  const size = cellSize(width);
  for (let bit = 0; bit < bits; bit++) {
    const luma = (value >> bit) & 1 ? 220 : 30;
    for (let y = 0; y < size; y++) data.fill(luma, y * width + bit * size, y * width + (bit + 1) * size);
  }
}

function readStamp({ data, width }) {
  const size = cellSize(width);
  let value = 0;
  for (let bit = 0; bit < bits; bit++) {
    if (data[(size >> 1) * width + bit * size + (size >> 1)] > 125) value |= 1 << bit;
  }
  return value;
}

async function film({ source, width, height, fps }) {
  const made = pictures(width, height);
  const startedMs = performance.now();
  for (let count = 0; ; count++) {
    const data = made[count % made.length];
    stamp(data, width, Date.now() & (2 ** bits - 1));
    source.captureFrame(new VideoFrame(data, width, height, VideoBufferType.I420));
    const waitMs = startedMs + ((count + 1) * 1_000) / fps - performance.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(1, waitMs)));
  }
}

room.on(RoomEvent.TrackSubscribed, async (track) => {
  for await (const { frame } of new VideoStream(track)) {
    const atMs = Date.now();
    firstFrame?.(atMs);
    firstFrame = undefined;
    const latencyMs = (atMs - readStamp(frame)) & (2 ** bits - 1);
    seen.push({ atMs, latencyMs });
  }
});
room.on(RoomEvent.TrackPublished, (published) => {
  publication = published;
});

const commands = {
  async join({ url, token, autoSubscribe = true }) {
    await room.connect(url, token, { autoSubscribe, dynacast: false });
    for (const { trackPublications } of room.remoteParticipants.values()) {
      for (const published of trackPublications.values()) publication ??= published;
    }
  },
  async film({ width, height, fps = 30, codec, bitrate }) {
    const source = new VideoSource(width, height);
    const options = new TrackPublishOptions({
      source: TrackSource.SOURCE_CAMERA,
      videoCodec: codec,
      simulcast: false,
      videoEncoding: { maxBitrate: BigInt(bitrate), maxFramerate: fps },
    });
    cameras.push(film({ source, width, height, fps }));
    await room.localParticipant.publishTrack(LocalVideoTrack.createVideoTrack('camera', source), options);
  },
  /** Milliseconds from subscribing to the first frame; the subscription ends again. */
  async subscribeOnce() {
    const startedMs = Date.now();
    const atMs = await new Promise((resolve) => {
      firstFrame = resolve;
      publication.setSubscribed(true);
    });
    const gone = new Promise((resolve) => room.once(RoomEvent.TrackUnsubscribed, resolve));
    publication.setSubscribed(false);
    await gone;
    return atMs - startedMs;
  },
  async takeSeen() {
    return seen.splice(0);
  },
  async usage() {
    const { user, system } = process.cpuUsage();
    return { atMs: performance.now(), cpuSeconds: (user + system) / 1e6, threads: threadUsage() };
  },
};

await takeCommands(commands);
process.exit(0);
