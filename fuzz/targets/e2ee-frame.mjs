import { clearBytes } from '../../dist/e2ee/clear-bytes.js';
import { FrameDecryptor, FrameEncryptor, KeyProvider } from '../../dist/e2ee/index.js';
import { check } from '../engine/target.mjs';

// HKDF: PBKDF2 takes milliseconds on another thread for each key.
const options = { sharedKey: true, derivation: 'hkdf', ratchetWindowSize: 2, failureTolerance: 3 };
const codecs = ['opus', 'vp8', 'vp9', 'h264', 'h265', 'av1'];
const key = Buffer.from('a key that both ends have');

function rings() {
  const provider = new KeyProvider(options);
  provider.setSharedKey(key, 0);
  return provider.ring('ada');
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

export default {
  about: 'encrypted frames of other participants, and frames to encrypt: each codec, with and without a key',
  maxBytes: 2048,
  seeds: () => {
    const encryptor = new FrameEncryptor({ keys: rings(), codec: 'opus', onStateChange() {} });
    const h264 = Buffer.from('000000016742c00b0000000165888400', 'hex');
    return [
      Buffer.concat([Buffer.of(0), encryptor.encrypt(Buffer.from('an opus frame'))]),
      Buffer.concat([Buffer.of(3), h264]),
      Buffer.concat([Buffer.of(1), Buffer.alloc(40, 1), Buffer.of(12, 0)]),
      Buffer.concat([Buffer.of(3), h264, Buffer.alloc(40, 0), Buffer.of(12, 0)]),
    ];
  },
  async run(input) {
    const [choice = 0] = input;
    const frame = input.subarray(1);
    const codec = codecs[choice % codecs.length];
    const isKeyFrame = (choice & 0x80) !== 0;
    const common = { codec, onStateChange() {} };
    const encryptor = new FrameEncryptor({ keys: rings(), ...common });
    const decryptor = new FrameDecryptor({ keys: rings(), ...common });
    // What is not of ours is refused, and never played.
    const opened = decryptor.decrypt(frame, isKeyFrame);
    check(
      opened === undefined || opened.length <= frame.length,
      'what is opened is no longer than what came',
    );
    await settled();
    // What is of ours comes back, also after all of that.
    const sealed = encryptor.encrypt(frame, isKeyFrame);
    check(sealed !== undefined, 'a frame is encrypted');
    check(frame.length === 0 || !sealed.equals(frame), 'a frame does not leave as it is');
    const back = decryptor.decrypt(sealed, isKeyFrame);
    // A frame that ends within its own header is none, and does not open: its header seems longer once more follows.
    const isWhole = clearBytes(sealed, codec, isKeyFrame) === clearBytes(frame, codec, isKeyFrame);
    check(isWhole ? back?.equals(frame) : back === undefined, 'a frame comes back as it was, or not at all');
    const withoutKey = new FrameEncryptor({ keys: new KeyProvider(options).ring('ada'), ...common });
    check(frame.length === 0 || withoutKey.encrypt(frame) === undefined, 'without a key nothing is sent');
    decryptor.close();
  },
};
