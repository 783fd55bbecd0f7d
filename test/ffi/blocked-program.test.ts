import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RoomEvent } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Room } from '../../src/room/index.js';
import { startServer } from '../../src/server/index.js';
import { makeToken } from '../support/token.mjs';
import { until } from '../support/until.js';
import { Bare } from './bare.js';
import { type Front, limits, ProcessFront, setLogSink, ThreadFront } from './fronts.js';

type RoomMessage = RoomEvent['message'];

const floodTimeoutMs = 60_000;
const packetBytes = 10_000;
/** Number of a packet that comes after a flood. */
const marker = 1_000_000;
/** In a process of its own; in this one there is less, so that a flood takes less time. */
const untakenBytesOfProgram = limits.untakenBytes!.value;
const untakenBytes = 512 * 2 ** 10;
limits.untakenBytes!.value = untakenBytes;
/** DisconnectReason.AGENT_ERROR */
const agentError = 16;

let server: { url: string; apiKey: string; apiSecret: string; close(): Promise<unknown> };
let sender: Room;
let witness: Room;
let lastSeen = -1;
let onSeen = () => {};
let room: string;
let rooms = 0;
beforeAll(async () => {
  const own = await startServer({ port: 0 });
  server = { url: own.url, apiKey: 'devkey', apiSecret: 'secret', close: () => own.close() };
});
afterAll(() => server.close());
beforeEach(async () => {
  room = `blocked-${++rooms}`;
  sender = new Room();
  witness = new Room();
  lastSeen = -1;
  witness.onEvent = (event) => {
    if (event.type !== 'dataPacketReceived' || event.value.case !== 'user') return;
    lastSeen = Math.max(lastSeen, Number(event.value.topic));
    onSeen();
  };
  await sender.connect(server.url, await makeToken(server, room, 'sender'));
  await witness.connect(server.url, await makeToken(server, room, 'witness'));
});
afterEach(() => Promise.all([sender.disconnect(), witness.disconnect()]));

const topicOf = ({ value }: RoomMessage): string | undefined => {
  const packet = value && 'value' in value ? (value.value as { value?: { topic?: string } }) : undefined;
  return packet?.value?.topic;
};

/**
 * Sends numbered packets, from `first` on. Lossy ones not faster than they reach somebody who is not blocked: the server
 * and the network drop what is more.
 */
async function send(count: number, reliable: boolean, first = 0): Promise<void> {
  for (let i = first; i < first + count; i++) {
    await sender.localParticipant.publishData(new Uint8Array(packetBytes), { reliable, topic: String(i) });
    if (!reliable && i % 5 === 4)
      await Promise.race([reached(i), new Promise((resolve) => setTimeout(resolve, 200))]);
  }
}

/** Resolves when the packet of that number, or a later one, has reached the witness. */
function reached(number: number): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (lastSeen >= number) resolve();
      else onSeen = look;
    };
    look();
  });
}

/** Sends a lossy packet until one has arrived: the network, too, may drop it. */
async function arrivesLater(numbers: () => number[]): Promise<void> {
  await until(
    'lossy packet of later',
    async () => {
      await send(1, false, 2 * marker);
      return numbers().at(-1) === 2 * marker;
    },
    { everyMs: 100, seen: () => numbers().slice(-3) },
  );
}

const isRising = (numbers: number[]) => numbers.every((number, i) => i === 0 || number > numbers[i - 1]!);

const fronts: [string, () => Front | Promise<Front>][] = [
  ['thread', () => new ThreadFront()],
  ['engine process', () => ProcessFront.open()],
];

describe.each(fronts)('a blocked program of the %s', (_name, open) => {
  let front: Front;
  let lines: string[] = [];
  let roomHandle = 0n;
  beforeEach(async () => {
    lines = [];
    setLogSink(({ message }) => lines.push(message), 'warn');
    front = await open();
    const token = await makeToken(server, room, 'program');
    const { asyncId } = await front.request({
      case: 'connect',
      value: { url: server.url, token, options: {} },
    });
    const message = await until('callback of connect', () =>
      front.events.find(({ case: name, value }) => name === 'connect' && value.asyncId === asyncId),
    );
    const result = message.case === 'connect' ? message.value.message : undefined;
    if (result?.case !== 'result') throw new Error(String(result?.value));
    roomHandle = result.value.room!.handle!.id!;
    await front.request({ case: 'readyForRoomEvent', value: { roomHandle } });
    // Until media is up the server keeps what is sent to it.
    await send(1, true);
    await until('first packet', () => packets().length === 1);
    front.events.length = 0;
  });
  afterEach(() => front.close());

  const roomEvents = (): RoomMessage[] =>
    front.events.flatMap(({ case: name, value }) => (name === 'roomEvent' ? [value.message] : []));
  const packets = () => roomEvents().filter(({ case: name }) => name === 'dataPacketReceived');
  const numbers = () => packets().map((packet) => Number(topicOf(packet)));

  test(
    'gets the first of a flood of lossy packets, in order, and what comes afterwards',
    async () => {
      front.block();
      let sent = 0;
      for (; front.waitingBytes() <= untakenBytes && sent < 1_000; sent += 10) await send(10, false, sent);
      await send(200, false, sent);
      await send(1, true, marker);
      expect(front.waitingBytes()).toBeGreaterThan(untakenBytes);
      expect(front.waitingBytes()).toBeLessThan(untakenBytes + 2 ** 20);
      front.unblock();
      await until('reliable packet', () => numbers().includes(marker));
      expect(isRising(numbers().filter((number) => number < marker))).toBe(true);
      expect(numbers().length * packetBytes).toBeLessThan(untakenBytes + 2 ** 20);
      await until('warning', () =>
        lines.some((line) =>
          /^the program was blocked; \d+ lossy data packets for it were dropped$/.test(line),
        ),
      );
      await arrivesLater(numbers);
    },
    floodTimeoutMs,
  );

  test(
    'leaves the chunks of a stream to its reader, and then gets all of them in order',
    async () => {
      const chunkBytes = 15_000;
      const total = 800;
      const writer = await sender.localParticipant.streamBytes({ topic: 'file' });
      const opened = await until('stream', () =>
        roomEvents().find(({ case: name }) => name === 'byteStreamOpened'),
      );
      const readerHandle = (opened.value as { reader: { handle: { id: bigint } } }).reader.handle.id;
      await front.request({ case: 'byteReadIncremental', value: { readerHandle } });
      front.block();
      for (let i = 0; i < total; i++) await writer.write(new Uint8Array(chunkBytes).fill(i & 0xff));
      await writer.close();
      // The room's own event of each chunk is there whatever the reader does.
      await until('chunks', () => front.waitingBytes() > (total - 20) * chunkBytes, {
        timeoutMs: floodTimeoutMs,
        seen: () => front.waitingBytes(),
      });
      front.unblock();
      const read = () =>
        front.events.flatMap(({ case: name, value }, at) =>
          name === 'byteStreamReaderEvent' && value.detail.case === 'chunkReceived'
            ? [{ at, content: value.detail.value.content! }]
            : [],
        );
      await until('last chunk', () => read().length >= total, {
        timeoutMs: floodTimeoutMs,
        seen: () => read().length,
      });
      const chunkEvents = front.events.flatMap(({ case: name, value }, at) =>
        name === 'roomEvent' && value.message.case === 'streamChunkReceived' ? [at] : [],
      );
      const early = read().filter(({ at }) => at < chunkEvents[total - 100]!);
      expect(early.length * chunkBytes).toBeLessThan(untakenBytes + 2 ** 20);
      expect(read().map(({ content }) => content[0])).toEqual(
        Array.from({ length: total }, (_, i) => i & 0xff),
      );
    },
    floodTimeoutMs,
  );

  test(
    'is taken out of a room whose events nobody takes, with an error that says so',
    async () => {
      const before = limits.untakenEvents!.value;
      limits.untakenEvents!.value = 8 * 2 ** 20;
      try {
        front.block();
        await send(1_200, true);
        await until('error', () =>
          lines.find((line) => line.startsWith('the room was left because the program is blocked')),
        );
        expect(front.waitingBytes()).toBeLessThan(10 * 2 ** 20);
        front.unblock();
        await until('end of the room', () => roomEvents().some(({ case: name }) => name === 'eos'));
        const names = roomEvents().map(({ case: name }) => name);
        const disconnected = roomEvents().find(({ case: name }) => name === 'disconnected');
        expect(disconnected?.value).toMatchObject({ reason: agentError });
        expect(names.lastIndexOf('dataPacketReceived')).toBeLessThan(names.indexOf('disconnected'));
        expect(numbers()).toEqual(Array.from({ length: numbers().length }, (_, i) => i));
      } finally {
        limits.untakenEvents!.value = before;
      }
    },
    floodTimeoutMs,
  );
});

test(
  'a program whose thread sleeps gets the first of a flood of lossy packets, and what comes afterwards',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'offhook-blocked-'));
    const awake = join(folder, 'awake');
    const program = new Bare('offhook');
    try {
      await program.join(server, room, 'program');
      await send(1, true);
      await program.event('dataPacketReceived');
      const asleep = program.program.call('sleepUntil', { path: awake });
      await until('sleep', () => existsSync(`${awake}.asleep`));
      await send(600, false, 1);
      await send(1, true, marker);
      writeFileSync(awake, '');
      await asleep;
      const topics = () => program.events('dataPacketReceived').map(({ user }) => Number(user.topic));
      await until('reliable packet', () => topics().includes(marker));
      expect(isRising(topics().filter((number) => number < marker))).toBe(true);
      expect(topics().length * packetBytes).toBeGreaterThan(0.9 * untakenBytesOfProgram);
      expect(topics().length * packetBytes).toBeLessThan(untakenBytesOfProgram + 2 ** 20);
      await arrivesLater(topics);
    } finally {
      await program.stop();
      rmSync(folder, { recursive: true });
    }
  },
  floodTimeoutMs,
);
