import { OffhookError } from '../../dist/errors/index.js';
import {
  fromProgram,
  MessageReader,
  readHandles,
  readHello,
  readPreface,
  readRequest,
} from '../../dist/ffi/process/wire.js';
import { check, refusesWith } from '../engine/target.mjs';

const refuses = (act) => refusesWith([OffhookError], act);

function message(type, body, id = 1) {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(body.length, 0);
  header.writeUInt32LE(type, 4);
  header.writeBigUInt64LE(BigInt(id), 8);
  return Buffer.concat([header, body]);
}

function hello() {
  const body = Buffer.alloc(40);
  body.writeUInt32LE(2, 0);
  body.writeBigUInt64LE(4096n, 8);
  body.writeBigUInt64LE(65_536n, 16);
  body.writeBigUInt64LE(2n ** 40n, 24);
  body.writeUInt32LE(6, 36);
  return Buffer.concat([body, Buffer.from('python1.0')]);
}

function request(bytes, memory, environment) {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(bytes.length, 0);
  head.writeUInt32LE(memory.length, 4);
  head.writeBigUInt64LE(4096n, 8);
  return Buffer.concat([head, bytes, memory, Buffer.from(environment)]);
}

const readers = {
  [fromProgram.hello]: (body) => {
    const read = readHello(body);
    check(read.sdk.length + read.sdkVersion.length <= 2 * body.length, 'a hello is no longer than its bytes');
  },
  [fromProgram.request]: (body) => {
    const { request: bytes, memory, environment = {} } = readRequest(body);
    const attached = memory.reduce((sum, part) => sum + part.bytes.length, 0);
    check(bytes.length + attached <= body.length, 'a request is no longer than its bytes');
    check(Object.getPrototypeOf(environment) === Object.prototype, 'an environment is a plain object');
    check(
      Object.values(environment).every((value) => typeof value === 'string'),
      'variables are text',
    );
  },
  [fromProgram.free]: (body) => check(readHandles(body).length === body.length / 8, 'eight bytes a handle'),
};

/** The messages of a stream, however it is cut. */
function read(chunks) {
  const reader = new MessageReader();
  return chunks.flatMap((chunk) => [...reader.push(chunk)]);
}

export default {
  about: 'what a program behind liboffhook_ffi sends the engine: the preface, and messages in pieces',
  maxBytes: 2048,
  words: ['__proto__=x\0', 'A=b\0'],
  seeds: () => [
    message(fromProgram.hello, hello()),
    message(fromProgram.request, request(Buffer.of(1, 2), Buffer.of(3, 4), 'A=b\0C=d\0')),
    message(fromProgram.free, Buffer.alloc(16)),
    Buffer.concat([
      message(fromProgram.drop, Buffer.alloc(0)),
      message(fromProgram.dispose, Buffer.alloc(0)),
    ]),
    Buffer.from('4f46484b00000000' + '0100000000000000', 'hex'),
  ],
  run(input) {
    refuses(() => readPreface(input.subarray(0, 16)));
    const whole = refuses(() => read([input]));
    if (!whole) return;
    const cut = input.length === 0 ? 0 : input[0] % (input.length + 1);
    const bytes = Array.from(input, (_, at) => input.subarray(at, at + 1));
    for (const chunks of [[input.subarray(0, cut), input.subarray(cut)], bytes]) {
      const same = read(chunks);
      check(same.length === whole.length, 'the pieces of a stream make no difference');
      for (const [at, { type, id, body }] of same.entries()) {
        const other = whole[at];
        check(type === other.type && id === other.id && body.equals(other.body), 'each message is the same');
      }
    }
    for (const { type, body } of whole) refuses(() => readers[type]?.(body));
  },
};
