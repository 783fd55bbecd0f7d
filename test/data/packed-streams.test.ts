import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import {
  DataStream_ByteHeader,
  DataStream_Chunk,
  DataStream_CompressionType,
  DataStream_Header,
  DataStream_TextHeader,
  DataStream_Trailer,
} from '@livekit/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ByteStreamReader,
  IncomingStreams,
  OutgoingStreams,
  type PacketContent,
  PlainStreams,
  type ReceiverAbilities,
  RpcClient,
  RpcServer,
  type RpcStreams,
  rpcTopics,
  type StreamPacket,
  type TextStreamReader,
} from '../../src/data/index.js';
import { Loop, receiveStreams } from './loop.js';

const everything: ReceiverAbilities = { inline: true, compression: true };

/** A sender whose receivers can read what `abilities` says, and one receiver that reads plain streams. */
function connected({ abilities = everything, maxBytes = 5_000_000 } = {}) {
  const loop = new Loop();
  const incoming = new IncomingStreams({}, maxBytes);
  const { opened, take } = receiveStreams(incoming, 'alice');
  const delivered: StreamPacket[] = [];
  const plain = new PlainStreams(maxBytes, (_identity, packet) => {
    delivered.push(packet);
    take(packet);
  });
  const receive = (packet: PacketContent) => plain.handle('alice', packet as StreamPacket);
  loop.onPacket = receive;
  return {
    loop,
    opened,
    delivered,
    receive,
    plain,
    outgoing: new OutgoingStreams(loop, () => abilities),
    text: () => (opened[0]!.reader as TextStreamReader).readAll(),
    bytes: () => (opened[0]!.reader as ByteStreamReader).readAll(),
    cases: () => loop.sent.map((packet) => packet.case),
  };
}

function packedHeader(content: Uint8Array | undefined, totalLength?: number): StreamPacket {
  const value = new DataStream_Header({
    streamId: 's',
    compression: DataStream_CompressionType.DEFLATE_RAW,
    contentHeader: { case: 'textHeader', value: new DataStream_TextHeader() },
    ...(content && { inlineContent: content as Uint8Array<ArrayBuffer> }),
    ...(totalLength !== undefined && { totalLength: BigInt(totalLength) }),
  });
  return { case: 'streamHeader', value };
}

const chunk = (chunkIndex: number, content: Uint8Array): StreamPacket => ({
  case: 'streamChunk',
  value: new DataStream_Chunk({
    streamId: 's',
    chunkIndex: BigInt(chunkIndex),
    content: content as Uint8Array<ArrayBuffer>,
  }),
});
const trailer: StreamPacket = {
  case: 'streamTrailer',
  value: new DataStream_Trailer({ streamId: 's', attributes: { end: 'yes' } }),
};

describe('a short text or blob', () => {
  it('is one packet where all receivers can read it, and a stream like any other to who reads it', async () => {
    const { outgoing, cases, text, delivered } = connected();
    await outgoing.sendText('grüße', { topic: 'chat', attributes: { lang: 'de' } });
    expect(cases()).toEqual(['streamHeader']);
    expect(delivered.map((packet) => packet.case)).toEqual(['streamHeader', 'streamChunk', 'streamTrailer']);
    const header = delivered[0]!.value as DataStream_Header;
    expect(header).toMatchObject({ topic: 'chat', attributes: { lang: 'de' }, totalLength: 7n });
    expect(header.inlineContent).toBeUndefined();
    expect(await text()).toBe('grüße');
  });

  it('comes whole when it is empty', async () => {
    const { outgoing, bytes, cases } = connected();
    await outgoing.sendBytes(new Uint8Array(), {});
    expect(cases()).toEqual(['streamHeader']);
    expect(await bytes()).toHaveLength(0);
  });

  it('is a header, chunks and a trailer for receivers that know no other', async () => {
    const { outgoing, cases, text } = connected({ abilities: { inline: false, compression: false } });
    await outgoing.sendText('hello', {});
    expect(cases()).toEqual(['streamHeader', 'streamChunk', 'streamTrailer']);
    expect(await text()).toBe('hello');
  });

  it('is sent in chunks when its attributes leave no room beside it', async () => {
    const { outgoing, cases, text } = connected();
    await outgoing.sendText('a'.repeat(500), { attributes: { note: 'b'.repeat(14_800) } });
    expect(cases()).toEqual(['streamHeader', 'streamChunk', 'streamTrailer']);
    expect(await text()).toBe('a'.repeat(500));
  });
});

describe('a long text or blob', () => {
  it('is compressed, and brought whole', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 5, maxLength: 40 }), async (part) => {
        const { outgoing, text, loop } = connected();
        const long = part.repeat(40_000 / part.length);
        await outgoing.sendText(long, {});
        const sentBytes = loop.sent.reduce((sum, { value }) => sum + value!.toBinary().length, 0);
        expect(sentBytes).toBeLessThan(Buffer.byteLength(long) / 4);
        expect(await text()).toBe(long);
      }),
      { numRuns: 20 },
    );
  });

  it('goes in chunks when it is long even so', async () => {
    const { outgoing, bytes, cases } = connected();
    const long = Buffer.from(randomBytes(60_000).toString('hex'));
    await outgoing.sendBytes(long, {});
    expect(cases().filter((kind) => kind === 'streamChunk').length).toBeGreaterThan(2);
    expect(Buffer.compare(Buffer.from(await bytes()), long)).toBe(0);
  });

  it('is not compressed when the program says so, or when that makes it no shorter', async () => {
    const plain = connected();
    await plain.outgoing.sendText('a'.repeat(10_000), { compress: false });
    expect((plain.loop.sent[0]!.value as DataStream_Header).compression).toBe(
      DataStream_CompressionType.NONE,
    );
    const random = connected();
    await random.outgoing.sendBytes(randomBytes(10_000), {});
    expect((random.loop.sent[0]!.value as DataStream_Header).compression).toBe(
      DataStream_CompressionType.NONE,
    );
  });

  it('as a file is compressed piece by piece', async () => {
    const { outgoing, bytes, loop } = connected();
    const content = Buffer.from('a line of a log file\n'.repeat(30_000));
    const folder = await mkdtemp(join(tmpdir(), 'offhook-file-'));
    await writeFile(join(folder, 'log.txt'), content);
    const info = await outgoing.sendFile(join(folder, 'log.txt'), {});
    await rm(folder, { recursive: true });
    expect(info).toMatchObject({ name: 'log.txt', totalLength: content.length });
    expect(loop.sent.length).toBeLessThan(5);
    expect(Buffer.compare(Buffer.from(await bytes()), content)).toBe(0);
  });

  it('gives chunks that end with a character, for readers that decode each on its own', async () => {
    const { outgoing, delivered, text } = connected();
    const long = `a${'é€😀'.repeat(20_000)}`;
    await outgoing.sendText(long, {});
    expect(await text()).toBe(long);
    const decoder = new TextDecoder('utf-8', { fatal: true });
    const pieces = delivered.flatMap((packet) =>
      packet.case === 'streamChunk' ? [decoder.decode(packet.value.content)] : [],
    );
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join('')).toBe(long);
  });
});

describe('a packed stream that is not as it should be', () => {
  const failed = (reason: RegExp) => ({ code: 'OFFHOOK_PROTOCOL', message: expect.stringMatching(reason) });

  it('fails its reader when it unpacks to more than is allowed, in its header and in chunks', async () => {
    const bomb = deflateRawSync(Buffer.alloc(2_000_000));
    const inline = connected({ maxBytes: 1_000_000 });
    inline.receive(packedHeader(bomb));
    await expect(inline.text()).rejects.toMatchObject(
      failed(/payload exceeds maximum size \(1000000 bytes\)/),
    );
    const small = connected({ maxBytes: 1_000 });
    small.receive(packedHeader(bomb));
    await expect(small.text()).rejects.toMatchObject(failed(/payload exceeds maximum size/));
    const chunked = connected({ maxBytes: 1_000_000 });
    chunked.receive(packedHeader(undefined));
    chunked.receive(chunk(0, bomb));
    await expect(chunked.text()).rejects.toMatchObject(failed(/payload exceeds maximum size/));
  });

  it('fails its reader when it says that it will be longer than is allowed', async () => {
    const { text, receive } = connected({ maxBytes: 1_000 });
    receive({
      case: 'streamHeader',
      value: new DataStream_Header({
        streamId: 's',
        totalLength: 1_001n,
        contentHeader: { case: 'byteHeader', value: new DataStream_ByteHeader() },
      }),
    });
    await expect(text()).rejects.toMatchObject(failed(/payload exceeds maximum size/));
  });

  it('fails its reader when the bytes are not compressed, break off, or lack a chunk', async () => {
    const garbage = connected();
    garbage.receive(packedHeader(Buffer.from('this is no deflate stream')));
    await expect(garbage.text()).rejects.toMatchObject(failed(/cannot be decompressed/));
    const broken = connected();
    broken.receive(packedHeader(undefined));
    broken.receive(chunk(0, deflateRawSync(randomBytes(1_000)).subarray(0, 500)));
    broken.receive(trailer);
    await expect(broken.text()).rejects.toMatchObject(failed(/cannot be decompressed: unexpected end/));
    const gap = connected();
    gap.receive(packedHeader(undefined));
    gap.receive(chunk(1, deflateRawSync(Buffer.from('text'))));
    await expect(gap.text()).rejects.toMatchObject(failed(/chunk 0 is missing/));
  });

  it('takes a chunk that comes twice once, and gives the attributes of the end', async () => {
    const { opened, text, receive } = connected();
    const content = deflateRawSync(Buffer.from('word '.repeat(500)));
    receive(packedHeader(undefined, 2_500));
    receive(chunk(0, content.subarray(0, 10)));
    receive(chunk(0, content.subarray(0, 10)));
    receive(chunk(1, content.subarray(10)));
    receive(trailer);
    expect(await text()).toBe('word '.repeat(500));
    expect(opened[0]!.reader.attributes).toEqual({ end: 'yes' });
  });

  it('leaves nothing behind when its sender leaves', async () => {
    const { receive, plain, delivered } = connected();
    receive(packedHeader(undefined));
    receive(chunk(0, deflateRawSync(Buffer.alloc(100_000))));
    plain.participantLeft('alice');
    receive(packedHeader(deflateRawSync(Buffer.from('next'))));
    expect(delivered.map((packet) => packet.case)).toEqual([
      'streamHeader',
      'streamHeader',
      'streamChunk',
      'streamTrailer',
    ]);
  });
});

describe('a remote procedure call to who takes streams', () => {
  function caller(reaches = true) {
    const loop = new Loop();
    const incoming = new IncomingStreams();
    const streams: RpcStreams = {
      reaches: () => reaches,
      sendText: (text, options) => outgoing.sendText(text, options),
    };
    const outgoing = new OutgoingStreams(loop, () => everything);
    const client = new RpcClient(loop, {}, streams);
    const server = new RpcServer(loop, {}, streams);
    const plain = new PlainStreams(5_000_000, (identity, packet) => {
      if (packet.case === 'streamChunk') incoming.chunk(identity, packet.value);
      else if (packet.case === 'streamTrailer') incoming.trailer(identity, packet.value);
      else {
        const reader = incoming.header(identity, packet.value)!.reader as TextStreamReader;
        void (packet.value.topic === rpcTopics.request
          ? server.handleRequestStream(reader)
          : client.handleResponseStream(reader));
      }
    });
    loop.onPacket = (packet) => {
      if (packet.case === 'rpcAck') client.handleAck(packet.value.requestId);
      else if (packet.case === 'rpcResponse') client.handleResponse(packet.value);
      else if (packet.case === 'rpcRequest') void server.handleRequest('callee', packet.value);
      else plain.handle('callee', packet as StreamPacket);
    };
    const perform = (payload: string, method = 'echo') =>
      client.perform({ destinationIdentity: 'callee', method, payload });
    return { loop, client, server, perform };
  }

  it('brings payloads and answers beyond 15 KiB', async () => {
    const { server, perform, client } = caller();
    server.register('echo', ({ payload, responseTimeoutMs }) => `${responseTimeoutMs} ${payload}`);
    const payload = randomBytes(100_000).toString('hex');
    expect(await perform(payload)).toBe(`8000 ${payload}`);
    expect(client.waiting).toBe(0);
  });

  it('fails with what the handler throws, and with what it is that nobody handles', async () => {
    const { server, perform } = caller();
    server.register('echo', () => {
      throw new Error('no');
    });
    await expect(perform('x')).rejects.toMatchObject({ code: 1500 });
    await expect(perform('x', 'nothing')).rejects.toMatchObject({ code: 1400 });
  });

  it('is a packet, of 15 KiB at most, to who does not', async () => {
    const { loop, server, perform } = caller(false);
    server.register('echo', ({ payload }) => payload);
    expect(await perform('hello')).toBe('hello');
    expect(loop.sent.map((packet) => packet.case)).toEqual(['rpcRequest', 'rpcAck', 'rpcResponse']);
    await expect(perform('x'.repeat(16_000))).rejects.toMatchObject({ code: 1402 });
  });
});
