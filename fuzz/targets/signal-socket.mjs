import { EventEmitter } from 'node:events';
import { SignalRequest } from '@livekit/protocol';
import { SignalMessage } from '../../dist/server/signal-message.js';
import { SignalSocket } from '../../dist/server/signal-socket.js';
import { Turns } from '../../dist/server/turns.js';
import { WorkMeter } from '../../dist/server/work-meter.js';
import { join, split, withoutMessages } from '../engine/messages.mjs';
import { check } from '../engine/target.mjs';

/** A WebSocket without a network, which keeps the rules of the real one. */
class FakeSocket extends EventEmitter {
  readyState = 1;
  bufferedAmount = 0;
  isPaused = false;

  send(data) {
    check(this.readyState === 1, 'nothing is sent on a socket that has closed');
    check(typeof data === 'string' || data instanceof Uint8Array, 'text or bytes are sent');
  }

  pause() {
    this.isPaused = true;
  }

  resume() {
    this.isPaused = false;
  }

  close() {
    if (this.readyState === 1) this.readyState = 2;
  }

  terminate() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.emit('close');
  }
}

const text = (value) => Buffer.concat([Buffer.of(1), Buffer.from(value)]);
const binary = (message) => Buffer.concat([Buffer.of(0), new SignalRequest({ message }).toBinary()]);

export default {
  about: 'what comes on a signalling WebSocket, in any order: text, bytes, fragments, pauses, errors, ends',
  maxBytes: 1024,
  shorten: withoutMessages,
  words: ['{"ping":"1"}', '{"leave":{}}', '{"addTrack":{"cid":"c"}}'],
  seeds: () => [
    join([binary({ case: 'ping', value: 1n }), text('{"ping":"1"}'), Buffer.of(2, 1, 2), Buffer.of(5)]),
    join([text('{"mute":{"sid":"TR_x","muted":true}}'), Buffer.of(3), Buffer.of(4), Buffer.of(6)]),
    join([Buffer.of(7), binary({ case: 'leave', value: {} }), Buffer.of(8), text('x')]),
  ],
  async run(input) {
    const socket = new FakeSocket();
    let requests = 0;
    let ends = 0;
    const signal = new SignalSocket('fuzz', socket, {
      turns: new Turns(),
      work: WorkMeter.forRequests(),
      onRequest: (request) => {
        check(ends === 0, 'no request comes after the end');
        new SignalRequest({ message: request }).toBinary();
        requests += 1;
      },
      onClose: () => {
        ends += 1;
      },
    });
    let sent = 0;
    for (const piece of split(input)) {
      if (socket.readyState === 3) break;
      const [kind = 0, ...rest] = piece;
      switch (kind % 9) {
        case 0:
        case 1:
          socket.emit('message', piece.subarray(1), kind % 9 === 0);
          sent += 1;
          break;
        case 2:
          socket.emit('message', [piece.subarray(1, 2), piece.subarray(2)], true);
          sent += 1;
          break;
        case 3:
          signal.send(new SignalMessage({ case: 'pong', value: BigInt(rest.length) }));
          break;
        case 4:
          socket.emit('error', new Error('reset'));
          break;
        case 5:
          await new Promise((resolve) => setImmediate(resolve));
          break;
        case 6:
          signal.close();
          break;
        case 7:
          socket.bufferedAmount = rest.length > 2 ? 2 ** 30 : 0;
          break;
        default:
          socket.terminate();
      }
    }
    if (socket.readyState !== 3) socket.terminate();
    check(ends === 1, `the end is reported once, not ${ends} times`);
    check(requests <= sent, 'a message is one request at most');
  },
};
