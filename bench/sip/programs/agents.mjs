// Agents by LiveKit's worker protocol, as small as they can be: each says a tone in the room that it is sent into.

import { Encoder } from '@evan/opus';
import {
  JobStatus,
  JobType,
  RegisterWorkerRequest,
  ServerMessage,
  UpdateJobStatus,
  WorkerMessage,
} from '@livekit/protocol';
import { WebSocket } from 'ws';
import { AudioSource } from '../../../dist/audio/index.js';
import { Room } from '../../../dist/room/index.js';
import { signAccess } from '../../../dist/server/index.js';

const url = process.argv[2];
const token = await signAccess('devkey', 'secret', {
  identity: 'worker',
  grants: { agent: true },
  lifetime: '1h',
});
const socket = new WebSocket(`${url}/agent`, { headers: { Authorization: `Bearer ${token}` } });
await new Promise((resolve) => socket.once('open', resolve));
const send = (message) => socket.send(new WorkerMessage({ message }).toBinary());
const jobs = new Map();
/** What each agent waits for, once it is in its room, before it publishes. */
let thinkMs = 0;
/** Rooms of jobs that are over, and when each was, in milliseconds since 1970. */
const ended = [];
const sampleRate = 8_000;
const tone = Int16Array.from(
  { length: sampleRate },
  (_, i) => 8_000 * Math.sin((2 * Math.PI * 1_000 * i) / sampleRate),
);

// Every 20 ms of the tone are the same samples. What agents cost is not measured here, so that they encode them once.
const encode = Encoder.prototype.encode;
let encoded;
let encodedFrames = 0;
Encoder.prototype.encode = function (samples) {
  // The first frames begin the tone.
  if (encodedFrames < 10) {
    encodedFrames++;
    encoded = encode.call(this, samples).slice();
  }
  return encoded.slice();
};

socket.on('message', (data) => {
  const { message } = ServerMessage.fromBinary(data);
  if (message.case === 'availability') {
    const jobId = message.value.job.id;
    send({ case: 'availability', value: { jobId, available: true, participantIdentity: `agent-${jobId}` } });
  }
  if (message.case === 'termination') jobs.get(message.value.jobId)?.();
  if (message.case === 'assignment')
    take(message.value.job, message.value.token).catch(() => jobs.get(message.value.job.id)?.());
});
send({ case: 'register', value: new RegisterWorkerRequest({ type: JobType.JT_ROOM, version: '1' }) });

async function take({ id: jobId, room: { name: roomName } }, jobToken) {
  const room = new Room({ name: jobId });
  const source = new AudioSource({ sampleRate, numChannels: 1, queueSizeMs: 100 });
  let left = false;
  const leave = () => {
    if (left) return;
    left = true;
    jobs.delete(jobId);
    ended.push({ room: roomName, atMs: performance.timeOrigin + performance.now() });
    source.close();
    room.disconnect();
    send({ case: 'updateJob', value: new UpdateJobStatus({ jobId, status: JobStatus.JS_SUCCESS }) });
  };
  jobs.set(jobId, leave);
  room.onEvent = ({ type }) => {
    if (type === 'participantDisconnected' || type === 'disconnected') leave();
  };
  await room.connect(url, jobToken, { autoSubscribe: false });
  await new Promise((resolve) => setTimeout(resolve, thinkMs));
  if (left) return room.disconnect();
  await room.localParticipant.publishAudio(source, { dtx: false, red: false });
  for (let at = 0; !left; at = (at + 80) % sampleRate) {
    const data = tone.subarray(at, at + 80);
    await source.captureFrame({ data, sampleRate, numChannels: 1, samplesPerChannel: 80 });
  }
}

const acts = {
  start: () => ({}),
  think: (value) => {
    thinkMs = value.thinkMs;
    return {};
  },
  counts: () => ({ jobs: jobs.size, going: [...jobs.keys()], ended }),
};
process.on('message', ({ what, ...value }) => process.send(acts[what](value)));
process.on('SIGTERM', () => process.exit(0));
