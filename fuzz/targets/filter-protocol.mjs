import * as protocol from '../../dist/filters/frame-protocol.js';
import { check, refusesWith } from '../engine/target.mjs';

const { decodeControl, encodeControl, encodeMessage, FrameProtocolError, MessageReader, messageTypes } =
  protocol;

export default {
  about: "messages between the engine and a filter's process, in pieces",
  seeds: () => [
    Buffer.concat([Buffer.from([40, 3]), encodeControl({ type: 'loaded', result: 0 })]),
    Buffer.concat([
      Buffer.from([7, 30]),
      encodeMessage({
        type: messageTypes.process,
        format: 'float',
        stream: 3,
        sequence: 9,
        value: 480,
        payload: new Uint8Array(32),
      }),
      encodeControl([1]),
    ]),
  ],
  /** The first two bytes say how long the pieces are. */
  run(input) {
    const [first = 1, second = 1] = input;
    const bytes = input.subarray(2);
    const reader = new MessageReader();
    let taken = 0;
    refusesWith([FrameProtocolError], () => {
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const length = Math.max(1, turn % 2 === 0 ? first : second);
        for (const message of reader.push(bytes.subarray(at, at + length))) {
          taken += protocol.headerBytes + message.payload.byteLength;
          if (message.type === messageTypes.control) decodeControl(message);
        }
        at += length;
      }
    });
    check(taken <= bytes.length, 'no byte is in two messages');
  },
};
