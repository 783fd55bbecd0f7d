import { DataCryptor, KeyProvider } from '../../dist/e2ee/index.js';
import { OffhookError } from '../../dist/errors/index.js';
import { check } from '../engine/target.mjs';

function cryptor() {
  const keys = new KeyProvider({ sharedKey: true, derivation: 'hkdf', ratchetWindowSize: 2 });
  keys.setSharedKey(Buffer.from('a key that both ends have'), 0);
  return new DataCryptor(keys);
}

async function decrypts(packet) {
  try {
    return await cryptor().decrypt(packet, 'ada');
  } catch (error) {
    if (!(error instanceof OffhookError)) throw error;
    return undefined;
  }
}

/** Index of the key (u32), length of the IV, the IV, the payload. */
function parse(input) {
  const ivBytes = input[4] ?? 0;
  return {
    keyIndex: input.length < 4 ? 0 : input.readUInt32BE(0),
    iv: Buffer.from(input.subarray(5, 5 + ivBytes)),
    payload: Buffer.from(input.subarray(5 + ivBytes)),
  };
}

export default {
  about: 'encrypted data packets of other participants: the index of the key, the IV, the payload',
  maxBytes: 1024,
  seeds: () => [
    Buffer.concat([Buffer.of(0, 0, 0, 0, 12), Buffer.alloc(12, 7), Buffer.alloc(32, 1)]),
    Buffer.concat([Buffer.of(0, 0, 0, 20, 12), Buffer.alloc(12), Buffer.alloc(16)]),
    Buffer.concat([Buffer.of(0xff, 0xff, 0xff, 0xff, 0), Buffer.from('payload')]),
  ],
  async run(input) {
    check((await decrypts(parse(input))) === undefined, 'what nobody has encrypted does not open');
    const sealed = await cryptor().encrypt(input, 'ada');
    check((await decrypts(sealed))?.equals(input), 'data comes back as it was');
    // One bit of it is another.
    if (input.length > 0) {
      const changed = Buffer.from(sealed.payload);
      changed[input[0] % changed.length] ^= 1 << (input[input.length - 1] & 7);
      check(
        (await decrypts({ ...sealed, payload: changed })) === undefined,
        'a changed packet does not open',
      );
    }
  },
};
