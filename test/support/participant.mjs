// A participant that tests steer by the commands of commands.mjs: an unmodified @livekit/rtc-node program, so its engine is
// whatever the environment selects. Everything that happens in the room is printed as an event.
import { writeFileSync } from 'node:fs';
import {
  AudioFilter,
  AudioFrame,
  AudioSource,
  AudioStream,
  FrameProcessor,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackKind,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node';
import { takeCommands, tell } from './commands.mjs';

const frameMs = 10;
const audibleRms = 300;

const room = new Room();
const tones = new Map();
const ears = new Map();

/** Turns every frame down, in this program's own thread. */
class Quietener extends FrameProcessor {
  enabled = true;
  isEnabled() {
    return this.enabled;
  }
  setEnabled(enabled) {
    this.enabled = enabled;
  }
  process(frame) {
    frame.data.forEach((sample, i) => {
      frame.data[i] = sample / 4;
    });
    return frame;
  }
  close() {}
}

function rms(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / samples.length);
}

/** Keeps everything heard of one participant. */
async function listen(track, identity, { sampleRate, noiseCancellation, quietened }) {
  const ear = { identity, sampleRate, frames: [], firstAudibleAtMs: undefined };
  ears.set(identity, ear);
  const filter = quietened ? new Quietener() : noiseCancellation;
  for await (const frame of new AudioStream(track, {
    sampleRate,
    numChannels: 1,
    noiseCancellation: filter,
  })) {
    ear.frames.push(frame.data.slice());
    if (ear.firstAudibleAtMs === undefined && rms(frame.data) > audibleRms) {
      ear.firstAudibleAtMs = Date.now();
      tell('firstAudible', { identity });
    }
  }
  tell('streamEnded', { identity });
}

/** Speaks a tone until it is stopped; its frames go out as fast as the source takes them. */
async function speak(tone) {
  const { source, hz, dbfs, sampleRate, numChannels } = tone;
  const amplitude = Math.SQRT2 * 32_768 * 10 ** (dbfs / 20);
  const length = (sampleRate * frameMs) / 1_000;
  for (let at = 0; !tone.stopped; at += length) {
    const frame = AudioFrame.create(sampleRate, numChannels, length);
    for (let i = 0; i < length * numChannels; i++) {
      const time = (at + Math.floor(i / numChannels)) / sampleRate;
      frame.data[i] = Math.round(amplitude * Math.sin(2 * Math.PI * hz * time));
    }
    await source.captureFrame(frame);
  }
}

const describe = (participant) => ({
  identity: participant.identity,
  sid: participant.sid,
  name: participant.name,
  metadata: participant.metadata,
  attributes: participant.attributes,
  tracks: [...participant.trackPublications.values()].map(({ sid, name, muted }) => ({ sid, name, muted })),
});

const commands = {
  /** Loads an audio filter, as vendors' packages do when they are imported. */
  async loadFilter({ moduleId, path }) {
    new AudioFilter(moduleId, path);
  },
  /** @param sharedKey encrypts the room, with this as the key of everybody */
  async connect({ url, token, hearing = { sampleRate: 48_000 }, options = {}, sharedKey }) {
    room.on(RoomEvent.TrackSubscribed, (track, _publication, participant) => {
      if (track.kind === TrackKind.KIND_AUDIO && hearing) void listen(track, participant.identity, hearing);
    });
    const startedMs = performance.now();
    await room.connect(url, token, {
      autoSubscribe: true,
      dynacast: false,
      ...(sharedKey !== undefined && {
        encryption: { keyProviderOptions: { sharedKey: new TextEncoder().encode(sharedKey) } },
      }),
      ...options,
    });
    const elapsedMs = performance.now() - startedMs;
    room.localParticipant.registerRpcMethod('echo', async ({ payload }) => payload);
    return { elapsedMs, room: room.name, local: describe(room.localParticipant) };
  },
  async publishTone({
    name = 'tone',
    hz,
    dbfs = -20,
    sampleRate = 48_000,
    numChannels = 1,
    queueMs = 1_000,
    publish = {},
  }) {
    const source = new AudioSource(sampleRate, numChannels, queueMs);
    const track = LocalAudioTrack.createAudioTrack(name, source);
    const tone = { source, track, hz, dbfs, sampleRate, numChannels, stopped: false };
    tones.set(name, tone);
    const publication = await room.localParticipant.publishTrack(
      track,
      new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE, ...publish }),
    );
    tone.sid = publication.sid;
    tone.spoken = speak(tone);
    return { sid: publication.sid };
  },
  async stopTone({ name = 'tone' }) {
    const tone = tones.get(name);
    tone.stopped = true;
    await tone.spoken;
    await room.localParticipant.unpublishTrack(tone.sid);
  },
  /** Writes what was heard of `identity` to `path` as raw 16-bit mono, and begins anew. */
  async takeHeard({ identity, path }) {
    const ear = ears.get(identity);
    if (!ear) throw new Error(`nothing was heard of ${identity}`);
    const frames = ear.frames.splice(0);
    writeFileSync(
      path,
      Buffer.concat(frames.map((frame) => Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength))),
    );
    return { sampleRate: ear.sampleRate, firstAudibleAtMs: ear.firstAudibleAtMs, frames: frames.length };
  },
  async publishData({ text, topic, reliable = true, to }) {
    await room.localParticipant.publishData(new TextEncoder().encode(text), {
      reliable,
      topic,
      destination_identities: to,
    });
  },
  /** Sends packets for `durationMs`, as fast as `bytesPerSecond` or, without it, as the engine takes them. */
  async flood({
    durationMs,
    packetBytes = 14_000,
    bytesPerSecond = Number.POSITIVE_INFINITY,
    reliable = true,
  }) {
    const packet = new Uint8Array(packetBytes);
    const startedMs = performance.now();
    let sent = 0;
    while (performance.now() - startedMs < durationMs && room.isConnected) {
      const aheadMs = ((sent * packetBytes) / bytesPerSecond) * 1_000 - (performance.now() - startedMs);
      if (aheadMs > 1) await new Promise((resolve) => setTimeout(resolve, aheadMs));
      await room.localParticipant.publishData(packet, { reliable, topic: 'flood' });
      sent++;
    }
    return { sentBytes: sent * packetBytes, elapsedMs: performance.now() - startedMs };
  },
  async sendText({ text, topic }) {
    const info = await room.localParticipant.sendText(text, { topic });
    return { streamId: info.streamId };
  },
  async receiveText({ topic }) {
    room.registerTextStreamHandler(topic, async (reader, { identity }) => {
      tell('text', { topic, identity, text: await reader.readAll() });
    });
  },
  async rpc({ to, method = 'echo', payload, timeoutMs = 5_000 }) {
    const startedMs = performance.now();
    const value = await room.localParticipant.performRpc({
      destinationIdentity: to,
      method,
      payload,
      responseTimeout: timeoutMs,
    });
    return { value, elapsedMs: performance.now() - startedMs };
  },
  async setMetadata({ metadata }) {
    await room.localParticipant.updateMetadata(metadata);
  },
  async setAttributes({ attributes }) {
    await room.localParticipant.setAttributes(attributes);
  },
  async simulate({ scenario }) {
    await room.simulateScenario(scenario);
  },
  async participants() {
    return [...room.remoteParticipants.values()].map(describe);
  },
  /** Keeps the main thread busy: no promise of this program is settled meanwhile. */
  async block({ durationMs }) {
    const endMs = performance.now() + durationMs;
    while (performance.now() < endMs);
  },
  async disconnect() {
    for (const tone of tones.values()) tone.stopped = true;
    await room.disconnect();
  },
};

function reportRoomEvents() {
  const withParticipant = (event) => room.on(event, ({ identity }) => tell(event, { identity }));
  withParticipant(RoomEvent.ParticipantConnected);
  withParticipant(RoomEvent.ParticipantDisconnected);
  for (const event of [RoomEvent.TrackPublished, RoomEvent.TrackUnpublished]) {
    room.on(event, ({ sid, name }, { identity }) => tell(event, { sid, name, identity }));
  }
  for (const event of [RoomEvent.TrackSubscribed, RoomEvent.TrackUnsubscribed]) {
    room.on(event, (_track, { sid, name }, { identity }) => tell(event, { sid, name, identity }));
  }
  for (const event of [RoomEvent.TrackMuted, RoomEvent.TrackUnmuted]) {
    room.on(event, ({ sid, name }, { identity }) => tell(event, { sid, name, identity }));
  }
  for (const event of [RoomEvent.Reconnecting, RoomEvent.Reconnected]) room.on(event, () => tell(event));
  room.on(RoomEvent.LocalTrackSubscribed, ({ sid }) => tell('localTrackSubscribed', { sid }));
  room.on(RoomEvent.Disconnected, (reason) => tell('disconnected', { reason }));
  room.on(RoomEvent.ActiveSpeakersChanged, (speakers) =>
    tell('activeSpeakersChanged', { identities: speakers.map(({ identity }) => identity) }),
  );
  room.on(RoomEvent.ParticipantMetadataChanged, (metadata, { identity }) =>
    tell('participantMetadataChanged', { metadata, identity }),
  );
  room.on(RoomEvent.ParticipantAttributesChanged, (changed, { identity }) =>
    tell('participantAttributesChanged', { changed, identity }),
  );
  let floodBytes = 0;
  room.on(RoomEvent.DataReceived, (payload, participant, _kind, topic) => {
    if (topic === 'flood') {
      // Reported for each megabyte: a line for each packet would make this a slow receiver.
      const before = floodBytes;
      floodBytes += payload.length;
      if (Math.floor(before / 1_000_000) !== Math.floor(floodBytes / 1_000_000))
        tell('flooded', { floodBytes });
      return;
    }
    tell('dataReceived', { text: new TextDecoder().decode(payload), identity: participant?.identity, topic });
  });
}

reportRoomEvents();
await takeCommands(commands);
await room.disconnect();
process.exit(0);
