import {
  DataPacket,
  DataStream_Header,
  DataStream_TextHeader,
  EncryptedPacket,
  EncryptedPacketPayload,
  Encryption_Type,
} from '@livekit/protocol';
import { expect, test } from 'vitest';
import { DataCryptor, KeyProvider } from '../../src/e2ee/index.js';
import { DataEncryption } from '../../src/room/data-encryption.js';
import { DataPlane } from '../../src/room/data-plane.js';
import { RoomEncryption } from '../../src/room/encryption.js';

test('a stream counts as encrypted when its packets were, whatever its header says', async () => {
  const keys = new KeyProvider({ sharedKey: true });
  keys.setSharedKey(Buffer.from('the key'), 0);
  const encryption = new RoomEncryption({ keys }, () => {});
  const opened = new Map<string, boolean>();
  const plane = new DataPlane({
    emit: (event) => {
      if (event.type === 'textStreamOpened')
        opened.set(event.reader.info.streamId, event.reader.info.isEncrypted);
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
  const headerOf = (streamId: string, encryptionType: Encryption_Type) => ({
    case: 'streamHeader' as const,
    value: new DataStream_Header({
      streamId,
      encryptionType,
      contentHeader: { case: 'textHeader', value: new DataStream_TextHeader() },
    }),
  });
  const receive = (value: DataPacket['value']) =>
    plane.handleMessage(new DataPacket({ participantIdentity: 'ada', value }).toBinary(), 'lossy');

  receive(headerOf('in the clear', Encryption_Type.GCM));
  const plain = new EncryptedPacketPayload({ value: headerOf('sealed', Encryption_Type.NONE) });
  const { payload, iv, keyIndex } = await new DataCryptor(keys).encrypt(plain.toBinary(), 'ada');
  const encryptedValue = new Uint8Array(payload);
  receive({
    case: 'encryptedPacket',
    value: new EncryptedPacket({ iv: new Uint8Array(iv), keyIndex, encryptedValue }),
  });
  await expect.poll(() => opened.size).toBe(2);
  expect(Object.fromEntries(opened)).toEqual({ 'in the clear': false, sealed: true });
});
