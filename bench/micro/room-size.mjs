// node bench/micro/room-size.mjs: what one update costs in rooms of 10 to 2,000 participants who listen while one
// speaks, in microseconds. In the engine: deciding what the update changes, and renewing what programs hold. In the room
// server: telling everybody of it, for each of those who are told, without writing to sockets.
import {
  ConnectionQualityInfo,
  ConnectionQualityUpdate,
  JoinResponse,
  ParticipantInfo,
  ParticipantUpdate,
  SpeakerInfo,
  SpeakersChanged,
  TrackInfo,
} from '@livekit/protocol';
import { RoomObjects } from '../../dist/room/objects.js';
import { joinedState, reduce } from '../../dist/room/state/reduce.js';
import { Participant } from '../../dist/server/participant.js';
import { Room } from '../../dist/server/room.js';

const sizes = [10, 100, 1_000, 2_000];
const updates = 2_000;
const rounds = 5;

const member = (i, more = {}) =>
  new ParticipantInfo({
    sid: `PA_${i}`,
    identity: `member-${i}`,
    name: `Member ${i}`,
    state: 2,
    joinedAtMs: 1_000n,
    tracks: i === 0 ? [new TrackInfo({ sid: 'TR_0' })] : [],
    ...more,
  });

/** Messages that come while a room goes on: who speaks, who changes, who comes and goes. */
function messages(size) {
  const update = (info) => ({ case: 'update', value: new ParticipantUpdate({ participants: [info] }) });
  return [
    (i) => ({
      case: 'speakersChanged',
      value: new SpeakersChanged({
        speakers: [new SpeakerInfo({ sid: 'PA_0', active: true, level: (i % 8) / 8 })],
      }),
    }),
    (i) => update(member(i % size, { metadata: `${i}` })),
    (i) =>
      update(member(0, { tracks: [new TrackInfo({ sid: 'TR_0', muted: i % 2 === 0 })], metadata: `${i}` })),
    (i) => ({
      case: 'connectionQuality',
      value: new ConnectionQualityUpdate({
        updates: [new ConnectionQualityInfo({ participantSid: `PA_${i % size}`, quality: i % 3 })],
      }),
    }),
    () => update(member(size, { state: 2 })),
    () => update(member(size, { state: 3 })),
  ];
}

function engineMicros(size) {
  const others = Array.from({ length: size }, (_, i) => member(i));
  const participant = new ParticipantInfo({ sid: 'PA_me', identity: 'me', joinedAtMs: 1_000n });
  let state = joinedState(new JoinResponse({ participant, otherParticipants: others }));
  const objects = new RoomObjects({
    state,
    autoSubscribe: true,
    local: {},
    tracks: {},
    media: {},
    subject: {},
  });
  const kinds = messages(size);
  const all = Array.from({ length: updates }, (_, i) => kinds[i % kinds.length](i));
  const startMs = performance.now();
  for (const message of all) {
    const step = reduce(state, { type: 'message', message });
    state = step.state;
    objects.update(state);
    for (const event of step.events) {
      const resolved = objects.resolve(event);
      if (resolved) objects.after(resolved);
    }
  }
  return ((performance.now() - startMs) * 1_000) / updates;
}

const nothing = () => {};
const listener = {
  onOpened: nothing,
  onParticipantJoined: nothing,
  onParticipantLeft: nothing,
  onTrackPublished: nothing,
  onTracksPublished: nothing,
  onClosed: nothing,
};
const grants = { canPublish: true, canPublishSources: [], canSubscribe: true, canPublishData: true };
const client = { autoSubscribe: true, clientProtocol: 0, capabilities: [], metadata: '', attributes: {} };

/** Bytes as the socket would get them: encoded, and counted instead of written. */
function socket() {
  return {
    send: (message) => (message.binary ?? message.toBinary?.() ?? []).length,
    close: nothing,
  };
}

function serverMicros(size) {
  const options = { name: 'r', emptyTimeoutS: 1e6, departureTimeoutS: 1e6, maxParticipants: 0, metadata: '' };
  const room = new Room(options, listener, nothing);
  const outbox = { send: nothing, isStalled: () => false };
  const transport = {
    tracks: new Map(),
    downTracks: new Map(),
    outbox,
    close: nothing,
    removeTrack: nothing,
  };
  const everybody = Array.from({ length: size }, (_, i) => {
    const access = { identity: `m${i}`, name: `Member ${i}`, metadata: '', attributes: {}, kind: '', grants };
    const joined = new Participant(access, client, () => ({ publisher: transport, subscriber: transport }));
    joined.socket = socket();
    room.join(joined);
    return joined;
  });
  const count = Math.max(20, Math.round(20_000 / size));
  const startMs = performance.now();
  for (let i = 0; i < count; i++) room.broadcastUpdate(everybody[i % size]);
  const micros = ((performance.now() - startMs) * 1_000) / count / size;
  room.close(1);
  return micros;
}

const best = (measure, size) => Math.min(...Array.from({ length: rounds }, () => measure(size)));
console.log('participants   engine, µs per update   server, µs per update and receiver');
for (const size of sizes) {
  const engine = best(engineMicros, size).toFixed(1);
  const server = best(serverMicros, size).toFixed(2);
  console.log(`${String(size).padStart(12)}   ${engine.padStart(21)}   ${server.padStart(34)}`);
}
