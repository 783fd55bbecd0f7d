import {
  DataPacket,
  DataStream_Chunk,
  DataStream_Header,
  DataStream_TextHeader,
  DataStream_Trailer,
  EncryptedPacket,
  EncryptedPacketPayload,
  Encryption_Type,
  ParticipantInfo_State,
  UserPacket,
} from '@livekit/protocol';
import { expect, test } from 'vitest';
import type { PacketChannel, PacketKind, TextStreamReader } from '../../src/data/index.js';
import { DataCryptor, KeyProvider } from '../../src/e2ee/index.js';
import { DataEncryption } from '../../src/room/data/data-encryption.js';
import { DataPlane } from '../../src/room/data/data-plane.js';
import { RoomEncryption } from '../../src/room/encryption.js';

async function encryptedRoom() {
  const keys = new KeyProvider({ sharedKey: true });
  keys.setSharedKey(Buffer.from('the key'), 0);
  const encryption = new RoomEncryption({ keys }, () => {});
  const readers = new Map<string, TextStreamReader>();
  const plane = new DataPlane({
    emit: (event) => {
      if (event.type === 'textStreamOpened') readers.set(event.reader.info.streamId, event.reader);
    },
    subject: {},
    receivers: { find: () => undefined, all: () => [] },
    encryption: new DataEncryption(
      encryption,
      () => 'bob',
      () => {},
      {},
    ),
    maxStreamBytes: undefined,
  });
  const receive = (value: DataPacket['value']) =>
    plane.handleMessage(new DataPacket({ participantIdentity: 'ada', value }).toBinary(), 'lossy');
  const receiveSealed = async (value: EncryptedPacketPayload['value']) => {
    const plain = new EncryptedPacketPayload({ value });
    const { payload, iv, keyIndex } = await new DataCryptor(keys).encrypt(plain.toBinary(), 'ada');
    const encryptedValue = new Uint8Array(payload);
    receive({
      case: 'encryptedPacket',
      value: new EncryptedPacket({ iv: new Uint8Array(iv), keyIndex, encryptedValue }),
    });
  };
  return { readers, receive, receiveSealed };
}

const headerOf = (streamId: string, encryptionType: Encryption_Type, compression = 0) => ({
  case: 'streamHeader' as const,
  value: new DataStream_Header({
    streamId,
    encryptionType,
    compression,
    contentHeader: { case: 'textHeader', value: new DataStream_TextHeader() },
  }),
});
const chunkOf = (streamId: string, chunkIndex: bigint, text: string) => ({
  case: 'streamChunk' as const,
  value: new DataStream_Chunk({ streamId, chunkIndex, content: new TextEncoder().encode(text) }),
});

test('a stream counts as encrypted when its packets were, whatever its header says', async () => {
  const { readers, receive, receiveSealed } = await encryptedRoom();
  receive(headerOf('in the clear', Encryption_Type.GCM));
  await receiveSealed(headerOf('sealed', Encryption_Type.NONE));
  await expect.poll(() => readers.size).toBe(2);
  expect([...readers].map(([id, { info }]) => [id, info.isEncrypted])).toEqual([
    ['in the clear', false],
    ['sealed', true],
  ]);
});

test.each([
  ['in the clear', 'encrypted', 0],
  ['encrypted', 'in the clear', 0],
  ['in the clear, compressed', 'encrypted', 1],
] as const)('a packet %s is not taken into a stream that is %s', async (_kind, stream, compression) => {
  const { readers, receive, receiveSealed } = await encryptedRoom();
  const own = stream === 'encrypted' ? receiveSealed : receive;
  const foreign = stream === 'encrypted' ? receive : receiveSealed;
  await own(headerOf('a', Encryption_Type.GCM, compression));
  if (compression === 0) await own(chunkOf('a', 0n, 'mine'));
  await expect.poll(() => readers.size).toBe(1);
  await foreign(chunkOf('a', compression === 0 ? 1n : 0n, 'foreign'));
  await expect(readers.get('a')!.readAll()).rejects.toThrow(/not all of it is encrypted alike/);
});

test('a trailer in the clear does not end an encrypted stream as if it were whole', async () => {
  const { readers, receive, receiveSealed } = await encryptedRoom();
  await receiveSealed(headerOf('a', Encryption_Type.GCM));
  await receiveSealed(chunkOf('a', 0n, 'half'));
  await expect.poll(() => readers.size).toBe(1);
  receive({ case: 'streamTrailer', value: new DataStream_Trailer({ streamId: 'a' }) });
  await expect(readers.get('a')!.readAll()).rejects.toThrow(/not all of it is encrypted alike/);
});

test('after a new session reliable packets wait for those who could be reached in the one before', async () => {
  const receiver = { state: ParticipantInfo_State.ACTIVE, clientProtocol: 0, capabilities: [] };
  let there = ['ada', 'bob'].map((identity) => ({ ...receiver, identity }));
  const plane = new DataPlane({
    emit: () => {},
    subject: {},
    receivers: { find: () => undefined, all: () => there },
    encryption: undefined,
    maxStreamBytes: undefined,
  });
  const sent = { reliable: 0, lossy: 0 };
  const channel = (kind: PacketKind): PacketChannel => ({
    isOpen: true,
    bufferedAmount: 0,
    send: () => {
      sent[kind]++;
      return true;
    },
    setBufferedAmountLowThreshold: () => {},
    onBufferedAmountLow: () => {},
  });
  plane.pause();
  plane.suspend();
  plane.sessionReplaced();
  there = [];
  plane.open({ reliable: channel('reliable'), lossy: channel('lossy') });
  const content = { case: 'user' as const, value: new UserPacket() };
  const sending = (['reliable', 'lossy'] as const).map((kind) => plane.send(content, kind));
  expect(sent).toEqual({ reliable: 0, lossy: 0 });
  plane.restored();
  expect(sent).toEqual({ reliable: 0, lossy: 1 });
  plane.participantActive('ada');
  expect(sent.reliable).toBe(0);
  plane.participantLeft('bob');
  expect(sent.reliable).toBe(1);
  await Promise.all(sending);
});
