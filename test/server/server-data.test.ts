import { DataPacket, DataPacket_Kind, UserPacket } from '@livekit/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { limits } from '../../src/server/limits.js';
import { CongestionError, ServerData } from '../../src/server/server-data.js';
import type { DataOutbox } from '../../src/server/sfu/data-outbox.js';

const { RELIABLE, LOSSY } = DataPacket_Kind;

let outboxes: Record<string, { isCongested: boolean }>;
let sent: string[];
let data: ServerData;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  outboxes = { slow: { isCongested: true }, fast: { isCongested: false } };
  sent = [];
  data = new ServerData({
    name: 'test',
    outboxesFor: ({ destinationIdentities }) =>
      destinationIdentities.map((identity) => outboxes[identity] as DataOutbox),
    send: ({ value }) => sent.push(String((value.value as UserPacket).topic)),
  });
});
afterEach(() => {
  data.close();
  vi.useRealTimers();
});

function send(topic: string, to: string[], { kind = RELIABLE, bytes = 10 } = {}): Promise<void> {
  const value = { case: 'user' as const, value: new UserPacket({ topic, payload: new Uint8Array(bytes) }) };
  return data.send(new DataPacket({ destinationIdentities: to, value }), kind);
}

test('reliable data waits until those whom it is for have read enough, and holds up no other', async () => {
  const waiting = [send('first', ['fast', 'slow']), send('second', ['slow'])];
  await send('other', ['fast']);
  await send('lossy', ['slow'], { kind: LOSSY });
  vi.advanceTimersByTime(1_000);
  expect(sent).toEqual(['other', 'lossy']);
  outboxes.slow!.isCongested = false;
  vi.advanceTimersByTime(100);
  await Promise.all(waiting);
  expect(sent).toEqual(['other', 'lossy', 'first', 'second']);
});

test('a caller that has waited for too long is told so', async () => {
  const waiting = send('first', ['slow']);
  vi.advanceTimersByTime(limits.waitingServerDataMs.value + 100);
  await expect(waiting).rejects.toThrow(CongestionError);
  outboxes.slow!.isCongested = false;
  vi.advanceTimersByTime(1_000);
  expect(sent).toEqual([]);
});

test('no more waits than is allowed, and what has gone makes room', async () => {
  const bytes = limits.waitingServerDataBytes.value / 4;
  const waiting = [1, 2, 3].map((i) => send(`${i}`, ['slow'], { bytes }));
  await expect(send('too much', ['slow'], { bytes })).rejects.toThrow(CongestionError);
  outboxes.slow!.isCongested = false;
  vi.advanceTimersByTime(100);
  await Promise.all(waiting);
  outboxes.slow!.isCongested = true;
  const again = send('again', ['slow'], { bytes });
  outboxes.slow!.isCongested = false;
  vi.advanceTimersByTime(100);
  await again;
  expect(sent).toEqual(['1', '2', '3', 'again']);
});

test('nothing waits for a room that has closed', async () => {
  const waiting = send('first', ['slow']);
  data.close();
  await expect(waiting).rejects.toThrow(CongestionError);
});
