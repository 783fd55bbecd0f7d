// A program that speaks the FFI protocol itself, as the SDK of another language does: requests and answers as the JSON
// of their messages. Commands and answers as test/support/commands.mjs; each event is printed under its name.
import { existsSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  FfiEvent,
  FfiHandle,
  FfiRequest,
  FfiResponse,
  livekitFfiRequest,
  livekitInitialize,
} from '@livekit/rtc-ffi-bindings';

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const held = new Map();

livekitInitialize(
  (bytes) => {
    const event = FfiEvent.fromBinary(bytes);
    const { case: name, value } = event.message;
    const of = name === 'roomEvent' ? value.message.case : name;
    const detail = name === 'roomEvent' ? value.message.value : value;
    if (name !== 'logs') print({ event: of ?? 'none', atMs: Date.now(), value: detail?.toJson() });
  },
  true,
  'test',
);

const commands = {
  async request({ message }) {
    const request = FfiRequest.fromJson(message).toBinary();
    const { message: answer } = FfiResponse.fromBinary(livekitFfiRequest(request));
    return answer.value?.toJson() ?? {};
  },
  /** Pushes frames to a data track until it is told to stop: their first four bytes count them. */
  async pushFrames({ trackHandle, bytes, everyMs, userTimestamp }) {
    let count = 0;
    const timer = setInterval(() => {
      const payload = new Uint8Array(bytes).fill(count & 0xff);
      new DataView(payload.buffer).setUint32(0, count++);
      const frame = {
        payload,
        ...(userTimestamp === undefined ? {} : { userTimestamp: BigInt(userTimestamp) }),
      };
      const value = { trackHandle: BigInt(trackHandle), frame };
      const request = new FfiRequest({ message: { case: 'localDataTrackTryPush', value } });
      livekitFfiRequest(request.toBinary());
    }, everyMs);
    held.set(`push ${trackHandle}`, timer);
  },
  async stopPushing({ trackHandle }) {
    clearInterval(held.get(`push ${trackHandle}`));
  },
  /** Blocks the thread until there is a file at `path`. */
  async sleepUntil({ path }) {
    writeFileSync(`${path}.asleep`, '');
    const never = new Int32Array(new SharedArrayBuffer(4));
    while (!existsSync(path)) Atomics.wait(never, 0, 0, 20);
  },
  async drop({ handle }) {
    return { dropped: new FfiHandle(BigInt(handle)).dispose() };
  },
};

// Nothing of a bare program keeps it alive but the wish of its test.
const alive = setInterval(() => {}, 1_000);
print({ event: 'started', atMs: Date.now() });
createInterface({ input: process.stdin })
  .on('line', async (line) => {
    const { id, command, ...args } = JSON.parse(line);
    try {
      print({ reply: id, value: (await commands[command](args)) ?? {} });
    } catch (error) {
      print({ reply: id, error: `${error.name}: ${error.message}` });
    }
  })
  .on('close', () => {
    clearInterval(alive);
    process.exit(0);
  });
