import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataPacketKind, DataStream_OperationType } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import type { Program } from '../support/program.mjs';
import { House } from './house.js';
import { ProtocolRoom } from './protocol-room.js';

describeWith(['livekit-server', 'native engine'], 'by bare requests, data', () => {
  const house = new House();
  const folder = mkdtempSync(join(tmpdir(), 'offhook-protocol-'));
  const ours = new ProtocolRoom();
  const { ffi } = ours;
  let native: Program;
  beforeAll(async () => {
    native = await house.join('native', 'native');
    await ours.connect(house, 'ours');
    await native.waitFor('participantConnected', { identity: 'ours' });
    await native.call('receiveStreams', { topic: 'bare' });
  });
  afterAll(async () => {
    await ffi.dispose();
    rmSync(folder, { recursive: true });
  });

  test('streams are read whole: a text, and bytes', async () => {
    await native.call('sendText', { topic: 'whole', content: 'a whole text' });
    const { reader } = await ours.waitFor(
      'textStreamOpened',
      (value) => value.reader!.info!.topic === 'whole',
    );
    const text = ffi.request({ case: 'textReadAll', value: { readerHandle: reader!.handle!.id! } });
    const { result } = await ffi.waitFor(
      'textStreamReaderReadAll',
      ({ asyncId }) => asyncId === text.asyncId,
    );
    expect(result).toEqual({ case: 'content', value: 'a whole text' });

    await native.call('sendBytes', { topic: 'whole', length: 50_000, name: 'ones' });
    const opened = await ours.waitFor('byteStreamOpened');
    const bytes = ffi.request({ case: 'byteReadAll', value: { readerHandle: opened.reader!.handle!.id! } });
    const all = await ffi.waitFor('byteStreamReaderReadAll', ({ asyncId }) => asyncId === bytes.asyncId);
    expect(all.result).toMatchObject({ case: 'content', value: { length: 50_000 } });
  });

  test('a byte stream is written to a file, never outside of its folder', async () => {
    await native.call('sendBytes', { topic: 'file', length: 20_000, name: '../../escape' });
    const { reader } = await ours.waitFor(
      'byteStreamOpened',
      (value) => value.reader!.info!.topic === 'file',
    );
    const { asyncId } = ffi.request({
      case: 'byteWriteToFile',
      value: { readerHandle: reader!.handle!.id!, directory: folder },
    });
    const { result } = await ffi.waitFor('byteStreamReaderWriteToFile', (value) => value.asyncId === asyncId);
    expect(result).toEqual({ case: 'filePath', value: join(folder, 'escape') });
    expect(readFileSync(join(folder, 'escape'))).toHaveLength(20_000);
  });

  test('nor is one whose sender chose its id to get out of there', async () => {
    const hostile = new ProtocolRoom();
    try {
      await hostile.connect(house, 'hostile');
      const { localParticipantHandle } = hostile;
      const common = { localParticipantHandle, destinationIdentities: [], senderIdentity: 'hostile' };
      const streamId = '../../../outside';
      const contentHeader = { case: 'byteHeader' as const, value: { name: '' } };
      const header = {
        streamId,
        timestamp: 0n,
        mimeType: '',
        topic: 'escape',
        attributes: {},
        contentHeader,
      };
      hostile.ffi.request({ case: 'sendStreamHeader', value: { ...common, header } });
      const trailer = { streamId, reason: '', attributes: {} };
      hostile.ffi.request({ case: 'sendStreamTrailer', value: { ...common, trailer } });
      const { reader } = await ours.waitFor(
        'byteStreamOpened',
        (value) => value.reader!.info!.topic === 'escape',
      );
      const { asyncId } = ffi.request({
        case: 'byteWriteToFile',
        value: { readerHandle: reader!.handle!.id!, directory: folder },
      });
      const { result } = await ffi.waitFor(
        'byteStreamReaderWriteToFile',
        (value) => value.asyncId === asyncId,
      );
      expect(result).toEqual({ case: 'filePath', value: join(folder, 'outside') });
    } finally {
      await hostile.ffi.dispose();
    }
  });

  test('a call that the program does not answer is forgotten when its time is up', async () => {
    const caller = new ProtocolRoom();
    try {
      await caller.connect(house, 'caller');
      const { localParticipantHandle } = ours;
      ffi.request({ case: 'registerRpcMethod', value: { localParticipantHandle, method: 'unanswered' } });
      const { asyncId } = caller.ffi.request({
        case: 'performRpc',
        value: {
          localParticipantHandle: caller.localParticipantHandle,
          destinationIdentity: 'ours',
          method: 'unanswered',
          payload: '',
          responseTimeoutMs: 1_500,
        },
      });
      const { invocationId } = await ffi.waitFor(
        'rpcMethodInvocation',
        ({ method }) => method === 'unanswered',
      );
      const { error } = await caller.ffi.waitFor('performRpc', (value) => value.asyncId === asyncId);
      expect(error).toMatchObject({ code: 1502 });
      const answer = { localParticipantHandle, invocationId, payload: 'too late' };
      expect(ffi.request({ case: 'rpcMethodInvocationResponse', value: answer }).error).toMatch(
        /no RPC with the invocation id/,
      );
    } finally {
      await caller.ffi.dispose();
    }
  });

  test('a reader that nobody reads is dropped, and its handle is unknown then', async () => {
    await native.call('sendText', { topic: 'unread', content: 'nobody reads this' });
    const { reader } = await ours.waitFor(
      'textStreamOpened',
      (value) => value.reader!.info!.topic === 'unread',
    );
    const readerHandle = reader!.handle!.id!;
    expect(ffi.drop(readerHandle)).toBe(true);
    expect(() => ffi.request({ case: 'textReadAll', value: { readerHandle } })).toThrow(/unknown/);
  });

  test('a stream is sent as header, chunks and trailer', async () => {
    const common = {
      localParticipantHandle: ours.localParticipantHandle,
      destinationIdentities: [],
      senderIdentity: 'ours',
    };
    const streamId = 'a stream of our own';
    const header = {
      streamId,
      timestamp: 0n,
      mimeType: 'text/plain',
      topic: 'bare',
      attributes: {},
      contentHeader: {
        case: 'textHeader' as const,
        value: { operationType: DataStream_OperationType.CREATE, attachedStreamIds: [] },
      },
    };
    const content = new TextEncoder().encode('piece by piece');
    const sent = [
      ffi.request({ case: 'sendStreamHeader', value: { ...common, header } }),
      ffi.request({
        case: 'sendStreamChunk',
        value: { ...common, chunk: { streamId, chunkIndex: 0n, content } },
      }),
      ffi.request({
        case: 'sendStreamTrailer',
        value: { ...common, trailer: { streamId, reason: '', attributes: {} } },
      }),
    ];
    for (const [i, name] of (
      ['sendStreamHeader', 'sendStreamChunk', 'sendStreamTrailer'] as const
    ).entries()) {
      const { error } = await ffi.waitFor(name, ({ asyncId }) => asyncId === sent[i]!.asyncId);
      expect(error).toBeUndefined();
    }
    await native.waitFor('text', { content: 'piece by piece', identity: 'ours' });
  });

  test('a stream ends when its writer is dropped', async () => {
    const { localParticipantHandle } = ours;
    const opened = ffi.request({
      case: 'textStreamOpen',
      value: { localParticipantHandle, options: { topic: 'bare', attributes: {} } },
    });
    const { result } = await ffi.waitFor('textStreamOpen', ({ asyncId }) => asyncId === opened.asyncId);
    if (result.case !== 'writer') throw new Error(result.value?.description);
    const writerHandle = result.value.handle!.id!;
    const { asyncId } = ffi.request({ case: 'textStreamWrite', value: { writerHandle, text: 'left open' } });
    await ffi.waitFor('textStreamWriterWrite', (value) => value.asyncId === asyncId);
    expect(ffi.drop(writerHandle)).toBe(true);
    await native.waitFor('text', { content: 'left open', identity: 'ours' });
  });

  test('a transcription arrives (servers take one from agents alone)', async () => {
    const agent = await house.join('native', 'agent', { grant: { agent: true } });
    const { sid: trackSid } = await agent.call<{ sid: string }>('publishSilence');
    await ours.waitFor('trackPublished', ({ publication }) => publication!.info!.sid === trackSid);
    await agent.call('transcription', { identity: 'agent', trackSid, words: 'as it was said' });
    const received = await ours.waitFor('transcriptionReceived');
    expect(received).toMatchObject({ participantIdentity: 'agent', trackSid });
    expect(received.segments[0]).toMatchObject({ text: 'as it was said', language: 'en', final: true });
  });

  test('the threshold of the data channel is set, and told', async () => {
    const value = {
      localParticipantHandle: ours.localParticipantHandle,
      threshold: 100_000n,
      kind: DataPacketKind.KIND_RELIABLE,
    };
    ffi.request({ case: 'setDataChannelBufferedAmountLowThreshold', value });
    expect(await ours.waitFor('dataChannelLowThresholdChanged')).toMatchObject({ threshold: 100_000n });
  });
});
