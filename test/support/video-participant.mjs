// A participant with a camera that tests steer: an unmodified @livekit/rtc-node program, so its engine is whatever the
// environment selects. It takes and answers commands as participant.mjs does, and prints what happens in the same way.
// What it films are four quarters, each of one grey that is a code of the frame's number.
import {
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
import { takeCommands, tell } from './commands.mjs';

const room = new Room();
const cameras = new Map();
const views = new Map();

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Luma of the middle of each quarter. */
function quarters({ data, width, height, type }) {
  if (type !== VideoBufferType.I420) throw new Error(`a frame of type ${type}`);
  const at = (x, y) => data[Math.floor(y * height) * width + Math.floor(x * width)];
  return [at(0.25, 0.25), at(0.75, 0.25), at(0.25, 0.75), at(0.75, 0.75)];
}

async function look(track, { sid, name }, identity, slowMs) {
  const view = { frames: [], count: 0, name, sid };
  views.set(identity, view);
  for await (const { frame, timestampUs, rotation } of new VideoStream(track)) {
    const { width, height } = frame;
    const seen = {
      atMs: Date.now(),
      width,
      height,
      rotation,
      us: Number(timestampUs),
      luma: quarters(frame),
    };
    view.frames.push(seen);
    view.count += 1;
    if (view.count === 1) tell('firstFrame', { identity, name, ...seen });
    if (slowMs) await sleep(slowMs);
  }
  tell('videoEnded', { identity, name });
}

/** Quarters of grey: 60, 120 and 180, and one that changes with every frame. */
function paint(width, height, count) {
  const chroma = ((width + 1) >> 1) * ((height + 1) >> 1);
  const data = new Uint8Array(width * height + 2 * chroma).fill(128);
  const lumas = [60, 120, 180, 40 + ((count * 8) % 160)];
  for (let y = 0; y < height; y++) {
    const lower = y >= height / 2 ? 2 : 0;
    data.fill(lumas[lower], y * width, y * width + (width >> 1));
    data.fill(lumas[lower + 1], y * width + (width >> 1), (y + 1) * width);
  }
  return new VideoFrame(data, width, height, VideoBufferType.I420);
}

async function film(camera) {
  const { source, width, height, fps } = camera;
  const startedMs = performance.now();
  for (let count = 0; !camera.stopped; count++) {
    source.captureFrame(paint(width, height, count));
    camera.captured = count + 1;
    await sleep(Math.max(1, startedMs + ((count + 1) * 1_000) / fps - performance.now()));
  }
}

/** A slope of brightness in one colour, in the bytes of `type`. */
function slope(type, width, height) {
  const isYuv = type.startsWith('I') || type === 'NV12';
  const step = type === 'RGB24' ? 3 : 4;
  const bytes = new Uint8Array(isYuv ? (width * height * 3) / 2 : width * height * step);
  for (let at = 0; at < bytes.length; at++) {
    if (isYuv) bytes[at] = at < width * height ? 40 + (Math.floor(at / width) * 120) / height : 110;
    else bytes[at] = [30, 90, 160, 255][at % step] + Math.floor(at / step / width);
  }
  return new VideoFrame(bytes, width, height, VideoBufferType[type]);
}

const commands = {
  async convert({ from, to, width = 16, height = 8, flip = false }) {
    const { data } = slope(from, width, height).convert(VideoBufferType[to], flip);
    return { data: [...data] };
  },
  /** @param sharedKey encrypts the room, with this as the key of everybody */
  async connect({ url, token, look: lookOptions = {}, options = {}, sharedKey }) {
    room.on(RoomEvent.TrackSubscribed, (track, publication, { identity }) => {
      if (track.kind === TrackKind.KIND_VIDEO && lookOptions)
        void look(track, publication, identity, lookOptions.slowMs);
    });
    const encryption = sharedKey !== undefined && {
      encryption: { keyProviderOptions: { sharedKey: new TextEncoder().encode(sharedKey) } },
    };
    await room.connect(url, token, { autoSubscribe: true, dynacast: true, ...encryption, ...options });
  },
  async publishVideo({ name = 'camera', width = 320, height = 180, fps = 15, publish = {} }) {
    const source = new VideoSource(width, height);
    const track = LocalVideoTrack.createVideoTrack(name, source);
    const camera = { source, width, height, fps, stopped: false, captured: 0 };
    cameras.set(name, camera);
    camera.filmed = film(camera);
    const publication = await room.localParticipant.publishTrack(
      track,
      new TrackPublishOptions({ source: TrackSource.SOURCE_CAMERA, ...publish }),
    );
    camera.sid = publication.sid;
    return { sid: publication.sid, mimeType: publication.mimeType };
  },
  async stopVideo({ name = 'camera' }) {
    const camera = cameras.get(name);
    camera.stopped = true;
    await camera.filmed;
    await room.localParticipant.unpublishTrack(camera.sid);
  },
  /** Frames sent and decoded of all video tracks, as the engine's own statistics have them. */
  async countFrames() {
    const { publisherStats, subscriberStats } = await room.getRtcStats();
    const video = (stats, kind) =>
      stats.filter(({ stats: { case: name, value } }) => name === kind && value.stream.kind === 'video');
    return {
      sent: video(publisherStats, 'outboundRtp').map(({ stats }) => stats.value.outbound.framesSent),
      decoded: video([...publisherStats, ...subscriberStats], 'inboundRtp').map(
        ({ stats }) => stats.value.inbound.framesDecoded,
      ),
    };
  },
  /** What was seen of `identity` since the last time. */
  async takeSeen({ identity }) {
    return { frames: views.get(identity)?.frames.splice(0) ?? [] };
  },
  async disconnect() {
    for (const camera of cameras.values()) camera.stopped = true;
    await room.disconnect();
  },
};

room.on(RoomEvent.Disconnected, () => tell('disconnected'));
for (const event of [RoomEvent.TrackSubscribed, RoomEvent.TrackUnsubscribed]) {
  room.on(event, (_track, { sid, name }, { identity }) => tell(event, { sid, name, identity }));
}

await takeCommands(commands);
process.exit();
