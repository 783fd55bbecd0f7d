import { createRequire } from 'node:module';
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

// With the batch that it packs, which is CommonJS: both are tested as they are shipped.
const require = createRequire(import.meta.url);
const EventBatch: {
  read(batch: Uint8Array): Iterable<{ bytes: Uint8Array }>;
} = require('../../dist/ffi/program/event-batch.cjs');
const { EventsToCome } = (await import(require.resolve('../../dist/ffi/events-to-come.js'))) as {
  EventsToCome: new (
    port: MessagePort,
    taken: SharedArrayBuffer,
  ) => {
    add(event: { bytes: Uint8Array; closed?: number[] }): void;
    addRoom(source: number): void;
    flush(): void;
    untilTaken(): Promise<void> | undefined;
    untakenBytes(): number;
  };
};

const turn = () => new Promise((resolve) => setImmediate(resolve));

let channel: MessageChannel;
let taken: Int32Array;
let events: InstanceType<typeof EventsToCome>;
beforeEach(() => {
  channel = new MessageChannel();
  const memory = new SharedArrayBuffer(8);
  taken = new Int32Array(memory);
  events = new EventsToCome(channel.port1, memory);
});
afterEach(() => channel.port1.close());

const received = () => receiveMessageOnPort(channel.port2)?.message;

describe('events on their way to the program', () => {
  test('of one turn are one message, in order, with what was closed and which sources have room', async () => {
    for (let i = 1; i <= 3; i++) events.add({ bytes: Uint8Array.of(i), closed: [i] });
    events.addRoom(7);
    expect(received()).toBeUndefined();
    await turn();
    const { batch, closed, room } = received();
    expect([...EventBatch.read(batch)].map(({ bytes }) => [...bytes])).toEqual([[1], [2], [3]]);
    expect({ closed, room }).toEqual({ closed: [1, 2, 3], room: [7] });
    expect(received()).toBeUndefined();
  });

  test('are not held back while the program takes them', () => {
    for (let i = 0; i < 100; i++) {
      events.add({ bytes: Uint8Array.of(1) });
      events.flush();
      Atomics.add(taken, 0, 1);
      expect(events.untilTaken()).toBeUndefined();
    }
  });

  test('let frames wait once the program leaves twenty messages, until it has taken what was sent', async () => {
    const send = () => {
      events.add({ bytes: Uint8Array.of(1) });
      events.flush();
    };
    for (let i = 0; i < 20; i++) send();
    expect(events.untilTaken()).toBeUndefined();
    send();
    const waiting = events.untilTaken();
    let done = false;
    void waiting?.then(() => {
      done = true;
    });
    expect(waiting).toBeInstanceOf(Promise);
    expect(events.untilTaken()).toBe(waiting);
    await turn();
    expect(done).toBe(false);
    Atomics.store(taken, 0, 21);
    await waiting;
    expect(events.untilTaken()).toBeUndefined();
  });

  test('let frames wait for one large event too, from the turn in which it comes until it was delivered', async () => {
    const bytes = new Uint8Array(5 * 2 ** 20);
    events.add({ bytes });
    expect(events.untakenBytes()).toBeGreaterThanOrEqual(bytes.length);
    const waiting = events.untilTaken();
    expect(waiting).toBeInstanceOf(Promise);
    events.flush();
    const { batch } = received();
    Atomics.add(taken, 0, 1);
    expect(events.untakenBytes()).toBe(batch.length);
    Atomics.add(taken, 1, batch.length);
    expect(events.untakenBytes()).toBe(0);
    await waiting;
    expect(events.untilTaken()).toBeUndefined();
  });

  test('are counted beyond what 32 bits hold', () => {
    const bytes = new Uint8Array(2 ** 20);
    for (let i = 0; i < 2_100; i++) {
      events.add({ bytes });
      events.flush();
      const { batch } = received();
      expect(events.untakenBytes()).toBe(batch.length);
      Atomics.add(taken, 1, batch.length);
    }
    expect(events.untakenBytes()).toBe(0);
  });
});
