// A filter host that keeps no promise: it answers control messages, and frames with whatever comes to its mind, chosen
// by OFFHOOK_PLUGIN_SEED. Used in place of the engine's own host to test that nothing it says costs a call.
import net from 'node:net';
import {
  encodeControl,
  encodeMessage,
  MessageReader,
  messageTypes,
} from '../../../../dist/filters/frame-protocol.js';

let seed = Number(process.env.OFFHOOK_PLUGIN_SEED ?? 1);
function random() {
  seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
  return seed / 2_147_483_648;
}
const below = (limit) => Math.floor(random() * limit);
const randomBytes = (length) => Buffer.from(Array.from({ length }, () => below(256)));

const control = new net.Socket({ fd: 3 });
const frames = new net.Socket({ fd: 4 });
for (const socket of [control, frames]) {
  socket.on('close', () => process.exit());
  socket.on('error', () => process.exit());
}

const answersToControl = [
  ({ id }) => encodeControl({ id, code: 0 }),
  ({ id }) => encodeControl({ id, code: 0 }),
  ({ id }) => encodeControl({ id, code: 0 }),
  ({ id }) => encodeControl({ id, error: 'no' }),
  ({ id }) => encodeControl({ id: id + 1, code: 0 }),
  ({ id }) => encodeControl({ id, code: 'zero' }),
  () => encodeControl([]),
  () => randomBytes(below(100)),
];

const answersToFrames = [
  (frame) => encodeMessage({ ...frame, type: messageTypes.processed }),
  (frame) => encodeMessage({ ...frame, type: messageTypes.processed, payload: randomBytes(below(2_000)) }),
  (frame) => encodeMessage({ ...frame, type: messageTypes.processed, sequence: below(2 ** 31) }),
  (frame) => encodeMessage({ ...frame, type: messageTypes.processed, stream: below(2 ** 31) }),
  (frame) => encodeMessage({ ...frame, type: messageTypes.processed, format: 'float' }),
  (frame) => Buffer.concat([0, 1].map(() => encodeMessage({ ...frame, type: messageTypes.processed }))),
  (frame) => encodeMessage({ ...frame, type: messageTypes.failed, value: 0 }),
  (frame) => encodeMessage({ ...frame, type: 1 + below(6), value: 0 }),
  () => Buffer.alloc(0),
];

/** Rarely, something worse. */
function worse(socket) {
  const luck = below(60);
  if (luck === 0) process.exit(below(5));
  if (luck === 1) socket.write(randomBytes(1 + below(200)));
  if (luck === 2) socket.end();
}

function serve(socket, answers, prepare) {
  const reader = new MessageReader();
  socket.on('data', (chunk) => {
    for (const message of reader.push(chunk)) {
      const answer = answers[below(answers.length)](prepare(message));
      setTimeout(() => socket.write(answer), random() < 0.2 ? below(40) : 0);
      worse(socket);
    }
  });
}

serve(control, answersToControl, (message) => JSON.parse(Buffer.from(message.payload).toString('utf8')));
serve(frames, answersToFrames, (message) => ({ ...message, payload: Buffer.from(message.payload) }));
if (random() < 0.9) control.write(encodeControl({ event: 'opened', separateRates: random() < 0.2 }));
