import { DataStream_Chunk, DataStream_Header, DataStream_Trailer, RpcRequest } from '@livekit/protocol';
import { describe, expect, test } from 'vitest';
import { IncomingStreams, ReliableInbox, ReorderBuffer, RpcServer } from '../../src/data/index.js';
import { limits } from '../../src/limits.js';
import { Loop } from './loop.js';

const header = (streamId: string) =>
  new DataStream_Header({ streamId, contentHeader: { case: 'byteHeader', value: {} } });
const chunk = (streamId: string, index: number, bytes: number) =>
  new DataStream_Chunk({ streamId, chunkIndex: BigInt(index), content: new Uint8Array(bytes) });

describe('streams of others', () => {
  test('are dropped beyond the number that one sender may have open, and others have theirs', () => {
    const streams = new IncomingStreams();
    for (let i = 0; i < limits.openStreams.value; i++)
      expect(streams.header('eve', header(`${i}`))).toBeDefined();
    expect(streams.header('eve', header('one more'))).toBeUndefined();
    expect(streams.header('ada', header('first'))).toBeDefined();
    streams.trailer('eve', new DataStream_Trailer({ streamId: '7' }));
    expect(streams.header('eve', header('in its place'))).toBeDefined();
    streams.participantLeft('eve');
    expect(streams.header('eve', header('back'))).toBeDefined();
  });

  test('end with an error where more waits to be read than a room may hold, and what was read counts no more', async () => {
    const streams = new IncomingStreams();
    const piece = 16 * 1024 * 1024;
    const fits = limits.unreadStreams.value / piece;
    const large = streams.header('eve', header('large'))!;
    for (let i = 0; i < fits; i++) streams.chunk('eve', chunk('large', i, piece));
    const reader = large.reader[Symbol.asyncIterator]();
    const small = streams.header('ada', header('small'))!;
    streams.chunk('ada', chunk('small', 0, 1));
    await expect(small.reader.readAll()).rejects.toThrow(/wait to be read/);
    await reader.next();
    const next = streams.header('ada', header('next'))!;
    streams.chunk('ada', chunk('next', 0, 1));
    streams.trailer('ada', new DataStream_Trailer({ streamId: 'next' }));
    expect(await next.reader.readAll()).toHaveLength(1);
    large.reader.cancel();
  });
});

describe('reliable packets', () => {
  test('of more publishers than a room has are told apart for those that sent last', () => {
    const inbox = new ReliableInbox();
    const count = limits.publishersRemembered.value;
    for (let i = 0; i <= count; i++) expect(inbox.accept(`PA_${i}`, 1)).toBe(true);
    expect(inbox.accept(`PA_${count}`, 1)).toBe(false);
    expect(inbox.states()).toHaveLength(count);
  });

  test('that wait for an earlier one are let go when there are too many', () => {
    let delivered = 0;
    const buffer = new ReorderBuffer<{ publisherSid: string; sequence: number }>({
      deliver: () => delivered++,
      schedule: () => () => {},
    });
    for (let i = 0; i <= limits.reorderedPackets.value; i++)
      buffer.push({ publisherSid: 'PA', sequence: i + 2 });
    expect(delivered).toBe(limits.reorderedPackets.value + 1);
  });
});

test('calls that a program does not answer are refused beyond a number, until one is answered', async () => {
  const loop = new Loop();
  const server = new RpcServer(loop);
  const release: ((answer: string) => void)[] = [];
  server.register('slow', () => new Promise((resolve) => release.push(resolve)));
  const call = (id: string) =>
    server.handleRequest('eve', new RpcRequest({ id, method: 'slow', version: 1, responseTimeoutMs: 1_000 }));
  for (let i = 0; i < limits.unansweredCalls.value; i++) void call(`${i}`);
  await call('one more');
  expect(loop.sent.at(-1)).toMatchObject({ case: 'rpcResponse', value: { value: { case: 'error' } } });
  release[0]!('answer');
  await new Promise(setImmediate);
  void call('in its place');
  expect(release).toHaveLength(limits.unansweredCalls.value + 1);
});
