import { createCipheriv, pbkdf2Sync, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addEmulationPrevention,
  clearBytes,
  hasEmulationPrevention,
  removeEmulationPrevention,
} from '../../src/e2ee/clear-bytes.js';
import {
  DataCryptor,
  type EncryptionState,
  type FrameCodec,
  FrameDecryptor,
  FrameEncryptor,
  KeyProvider,
  type KeyProviderOptions,
} from '../../src/e2ee/index.js';
import { until } from '../support/until.js';

const secret = Buffer.from('a secret of the room');

async function ready(provider: KeyProvider, identity: string, index = 0): Promise<void> {
  await provider.ring(identity).at(index)?.ready;
}

interface Pair {
  sending: KeyProvider;
  receiving: KeyProvider;
  encryptor: FrameEncryptor;
  decryptor: FrameDecryptor;
  states: EncryptionState[];
}

async function pair(
  options: Partial<KeyProviderOptions> & {
    codec?: FrameCodec;
    sendingKey?: Buffer;
    receivingKey?: Buffer;
    serverTrailer?: Buffer;
    nowMs?: () => number;
  } = {},
): Promise<Pair> {
  const {
    codec = 'opus',
    sendingKey = secret,
    receivingKey = secret,
    serverTrailer,
    nowMs,
    ...rest
  } = options;
  const sending = new KeyProvider({ sharedKey: true, ...rest });
  const receiving = new KeyProvider({ sharedKey: true, ...rest }, nowMs);
  sending.setSharedKey(sendingKey, 0);
  receiving.setSharedKey(receivingKey, 0);
  await ready(sending, 'alice');
  await ready(receiving, 'alice');
  const states: EncryptionState[] = [];
  return {
    sending,
    receiving,
    states,
    encryptor: new FrameEncryptor({ keys: sending.ring('alice'), codec, onStateChange: () => {} }),
    decryptor: new FrameDecryptor({
      keys: receiving.ring('alice'),
      codec,
      onStateChange: (state) => states.push(state),
      ...(serverTrailer ? { serverTrailer } : {}),
    }),
  };
}

function h264KeyFrame(slice: Uint8Array): Buffer {
  const start = Buffer.from([0, 0, 0, 1]);
  const parameters = Buffer.from([0x67, 0x42, 0xe0, 0x1f]);
  return Buffer.concat([start, parameters, start, Buffer.from([0x65, 0x88]), slice]);
}

describe('an encrypted frame', () => {
  test('is decrypted with the key, for any codec and content', async () => {
    const codecs: FrameCodec[] = ['opus', 'vp8', 'vp9', 'av1', 'h264', 'h265'];
    for (const codec of codecs) {
      const { encryptor, decryptor } = await pair({ codec, derivation: 'hkdf' });
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 10, maxLength: 3000 }), fc.boolean(), (bytes, isKeyFrame) => {
          const frame = codec === 'h264' ? h264KeyFrame(bytes) : Buffer.from(bytes);
          const encrypted = encryptor.encrypt(frame, isKeyFrame);
          expect(decryptor.decrypt(encrypted as Buffer, isKeyFrame)).toEqual(frame);
        }),
        { numRuns: 50 },
      );
    }
  });

  test('has the layout of the other clients: clear head, cipher text and tag, IV, its length, index of the key', async () => {
    const { encryptor } = await pair();
    const frame = randomBytes(120);
    const encrypted = encryptor.encrypt(frame) as Buffer;
    const iv = encrypted.subarray(-14, -2);
    expect(encrypted[0]).toBe(frame[0]);
    expect([...encrypted.subarray(-2)]).toEqual([12, 0]);
    const key = pbkdf2Sync(secret, 'LKFrameEncryptionKey', 100_000, 16, 'sha256');
    const cipher = createCipheriv('aes-128-gcm', key, iv);
    cipher.setAAD(frame.subarray(0, 1));
    const sealed = Buffer.concat([cipher.update(frame.subarray(1)), cipher.final(), cipher.getAuthTag()]);
    expect(encrypted.subarray(1, -14)).toEqual(sealed);
  });

  test('never has the IV of another one', async () => {
    const { encryptor } = await pair();
    const ivs = new Set<string>();
    for (let frame = 0; frame < 5_000; frame++) {
      ivs.add((encryptor.encrypt(Buffer.from([1, 2, 3])) as Buffer).subarray(-14, -2).toString('hex'));
    }
    expect(ivs.size).toBe(5_000);
  });

  test('of H.264 has an IV without zeros, which the native engine reads as it was sent', async () => {
    const { encryptor } = await pair({ codec: 'h264', derivation: 'hkdf' });
    for (let run = 0; run < 1_000; run++) {
      const encrypted = encryptor.encrypt(h264KeyFrame(Buffer.from([0x84, 1, 2]))) as Buffer;
      expect(encrypted.subarray(-14, -2)).not.toContain(0);
    }
  });

  test('of H.264 names the picture parameters of the frame, where they are behind the clear bytes', async () => {
    const { encryptor, decryptor } = await pair({ codec: 'h264', derivation: 'hkdf' });
    for (let run = 0; run < 100; run++) {
      // The slice header goes on with the bit 1, which is parameter set 0.
      const frame = h264KeyFrame(Buffer.from([0x84, ...randomBytes(20)]));
      const encrypted = encryptor.encrypt(frame, true) as Buffer;
      expect((encrypted[clearBytes(encrypted, 'h264', true)] as number) >> 7).toBe(1);
      expect(decryptor.decrypt(encrypted, true)).toEqual(frame);
    }
  });

  test('holds no start code that a packetizer of H.264 would split it at', async () => {
    const { encryptor } = await pair({ codec: 'h264', derivation: 'hkdf' });
    for (let run = 0; run < 200; run++) {
      const encrypted = encryptor.encrypt(h264KeyFrame(randomBytes(2_000)), true) as Buffer;
      const head = clearBytes(encrypted, 'h264', true);
      expect(encrypted.indexOf(Buffer.from([0, 0, 1]), head)).toBe(-1);
    }
  });
});

describe('a frame that cannot be opened', () => {
  test('is dropped when the key is wrong, which is reported once', async () => {
    const { encryptor, decryptor, states } = await pair({
      receivingKey: Buffer.from('another secret'),
      ratchetWindowSize: 0,
    });
    for (let frame = 0; frame < 20; frame++) {
      expect(decryptor.decrypt(encryptor.encrypt(randomBytes(80)) as Buffer)).toBeUndefined();
    }
    await until('the state decryptionFailed', () => states[0]);
    expect(states).toEqual(['decryptionFailed']);
  });

  test('is dropped when its bytes were changed, and opens nothing else', async () => {
    const { encryptor, decryptor } = await pair({ derivation: 'hkdf' });
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (position, flip) => {
        const encrypted = encryptor.encrypt(Buffer.from('hello, this is a frame')) as Buffer;
        const at = position % encrypted.length;
        encrypted[at] = (encrypted[at] ?? 0) ^ flip;
        expect(decryptor.decrypt(encrypted)).toBeUndefined();
      }),
    );
  });

  test('is dropped without a key, and heard once the key is there', async () => {
    const { encryptor, decryptor, states, sending, receiving } = await pair();
    sending.setSharedKey(Buffer.from('the second key'), 3);
    await ready(sending, 'alice', 3);
    encryptor.keyIndex = 3;
    const frame = randomBytes(60);
    expect(decryptor.decrypt(encryptor.encrypt(frame) as Buffer)).toBeUndefined();
    receiving.setSharedKey(Buffer.from('the second key'), 3);
    await ready(receiving, 'alice', 3);
    expect(decryptor.decrypt(encryptor.encrypt(frame) as Buffer)).toEqual(frame);
    expect(states).toEqual(['missingKey', 'ok']);
  });

  test('never throws, for any bytes', async () => {
    for (const codec of ['opus', 'vp8', 'h264', 'h265'] as const) {
      const { decryptor } = await pair({ codec, ratchetWindowSize: 0, derivation: 'hkdf' });
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
          const frame = Buffer.from(bytes);
          if (frame.length > 2) frame[frame.length - 2] = 12;
          decryptor.decrypt(frame);
        }),
      );
    }
  });

  test('too often in a row makes its key invalid until another one is set', async () => {
    const { encryptor, decryptor, receiving } = await pair({
      receivingKey: Buffer.from('another secret'),
      ratchetWindowSize: 0,
      failureTolerance: 2,
    });
    const ring = receiving.ring('alice');
    await until('the key to be invalid', () => {
      decryptor.decrypt(encryptor.encrypt(randomBytes(80)) as Buffer);
      return ring.isInvalid(0) || undefined;
    });
    receiving.setSharedKey(secret, 0);
    await ready(receiving, 'alice');
    const frame = randomBytes(80);
    expect(decryptor.decrypt(encryptor.encrypt(frame) as Buffer)).toEqual(frame);
  });
});

describe('a key that its sender ratchets', () => {
  test('is found by the receiver, which reports it', async () => {
    const { encryptor, decryptor, states, sending } = await pair();
    sending.ratchetSharedKey(0);
    sending.ratchetSharedKey(0);
    await ready(sending, 'alice');
    const frame = randomBytes(50);
    const opened = await until('a frame opened with the ratcheted key', () =>
      decryptor.decrypt(encryptor.encrypt(frame) as Buffer),
    );
    expect(opened).toEqual(frame);
    expect(states).toEqual(['keyRatcheted', 'ok']);
  });

  test('is not looked for again and again when the key is wrong', async () => {
    let nowMs = 0;
    const { encryptor, decryptor, receiving, states } = await pair({
      receivingKey: Buffer.from('another secret'),
      derivation: 'hkdf',
      nowMs: () => nowMs,
    });
    const { deriver } = receiving.ring('alice');
    let ratchets = 0;
    const ratchet = deriver.ratchet.bind(deriver);
    deriver.ratchet = (material) => {
      ratchets++;
      return ratchet(material);
    };
    const fail = () => decryptor.decrypt(encryptor.encrypt(randomBytes(80)) as Buffer);
    fail();
    await until('the end of the first search', () => states[0]);
    for (let frame = 0; frame < 100; frame++) fail();
    expect(ratchets).toBe(16);
    nowMs = 5_001;
    fail();
    await until('a second search after the pause', () => (ratchets > 16 ? ratchets : undefined));
  });

  test('gives the same key at both ends', () => {
    for (const derivation of ['pbkdf2', 'hkdf'] as const) {
      const [one, other] = [0, 1].map(() => new KeyProvider({ sharedKey: false, derivation })) as [
        KeyProvider,
        KeyProvider,
      ];
      one.setKey('alice', secret, 2);
      other.setKey('alice', secret, 2);
      expect(one.ratchetKey('alice', 2)).toEqual(other.ratchetKey('alice', 2));
      expect(one.key('alice', 2)).toEqual(other.key('alice', 2));
      expect(one.key('alice', 2)).not.toEqual(secret);
    }
  });
});

describe('frames of the server', () => {
  test('pass without their trailer: they are not encrypted', async () => {
    const serverTrailer = Buffer.from('made by the server');
    const { decryptor } = await pair({ serverTrailer });
    const silence = Buffer.from([0xf8, 0xff, 0xfe]);
    expect(decryptor.decrypt(Buffer.concat([silence, serverTrailer]))).toEqual(silence);
  });
});

describe('sending', () => {
  test('never lets a frame out in clear when there is no key', () => {
    const keys = new KeyProvider({ sharedKey: false }).ring('alice');
    const states: EncryptionState[] = [];
    const encryptor = new FrameEncryptor({
      keys,
      codec: 'opus',
      onStateChange: (state) => states.push(state),
    });
    expect(encryptor.encrypt(randomBytes(50))).toBeUndefined();
    expect(states).toEqual(['missingKey']);
  });

  test('uses the key at index 0 until another one is chosen, also when keys are set at other indexes', async () => {
    const keys = new KeyProvider({ sharedKey: false });
    for (const index of [0, 1, 2]) {
      keys.setKey('alice', Buffer.from(`key ${index}`), index);
      await ready(keys, 'alice', index);
    }
    const encryptor = new FrameEncryptor({
      keys: keys.ring('alice'),
      codec: 'opus',
      onStateChange: () => {},
    });
    expect(encryptor.encrypt(Buffer.from('frame'))?.at(-1)).toBe(0);
    encryptor.keyIndex = 2;
    expect(encryptor.encrypt(Buffer.from('frame'))?.at(-1)).toBe(2);
  });

  test('passes frames as they are once it is switched off', async () => {
    const { encryptor } = await pair();
    encryptor.isEnabled = false;
    const frame = randomBytes(50);
    expect(encryptor.encrypt(frame)).toBe(frame);
  });
});

describe('encrypted data', () => {
  test('is decrypted with the key, also after the sender has ratcheted it', async () => {
    const { sending, receiving } = await pair();
    const sender = new DataCryptor(sending);
    const receiver = new DataCryptor(receiving);
    const data = Buffer.from('hello');
    expect(await receiver.decrypt(await sender.encrypt(data, 'alice'), 'alice')).toEqual(data);
    sending.ratchetSharedKey(0);
    expect(await receiver.decrypt(await sender.encrypt(data, 'alice'), 'alice')).toEqual(data);
  });

  test('with another key is an error that says so', async () => {
    const { sending, receiving } = await pair({
      receivingKey: Buffer.from('another secret'),
      ratchetWindowSize: 1,
    });
    const encrypted = await new DataCryptor(sending).encrypt(Buffer.from('hello'), 'alice');
    await expect(new DataCryptor(receiving).decrypt(encrypted, 'alice')).rejects.toThrow(
      /cannot be decrypted with key 0/,
    );
  });
});

describe('a key provider', () => {
  test.each([
    [{ keyRingSize: 0 }],
    [{ keyRingSize: 257 }],
    [{ keyRingSize: 1.5 }],
    [{ ratchetWindowSize: -1 }],
    [{ failureTolerance: -2 }],
  ])('refuses %j', (options) => {
    expect(() => new KeyProvider({ sharedKey: true, ...options })).toThrow(/must be a whole number/);
  });

  test('refuses an index outside of its ring and a key without bytes', () => {
    const provider = new KeyProvider({ sharedKey: true });
    expect(() => provider.setSharedKey(secret, 16)).toThrow(/key index is 16/);
    expect(() => provider.setSharedKey(Buffer.alloc(0), 0)).toThrow(/a key has 1 to/);
  });
});

describe('emulation prevention', () => {
  test('is undone exactly, and leaves no start code', () => {
    const bytes = fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3, 4), { maxLength: 300 });
    fc.assert(
      fc.property(bytes, (values) => {
        const original = Buffer.from(values);
        const escaped = addEmulationPrevention(original);
        expect(escaped.indexOf(Buffer.from([0, 0, 1]))).toBe(-1);
        expect(removeEmulationPrevention(escaped)).toEqual(original);
        if (escaped.length > original.length) expect(hasEmulationPrevention(escaped)).toBe(true);
      }),
    );
  });
});
