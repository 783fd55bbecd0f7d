// An audio filter in WebAssembly: turns down what it hears. The module, as text:
//
//   (module
//     (memory (export "memory") 1)
//     (func (export "gain") (param $at i32) (param $count i32) (param $factor f32)
//       (loop
//         (f32.store (local.get $at) (f32.mul (f32.load (local.get $at)) (local.get $factor)))
//         (local.set $at (i32.add (local.get $at) (i32.const 4)))
//         (br_if 0 (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))))
const binary = Buffer.from(
  'AGFzbQEAAAABBwFgA39/fQADAgEABQMBAAEHEQIGbWVtb3J5AgAEZ2FpbgAACiQBIgADQCAAIAAqAgAgApQ4AgAgAEEEaiEAIAFBAWsiAQ0ACws=',
  'base64',
);

/** @type {import('offhook').AudioFilterDefinition} */
export default {
  sampleFormat: 'float',
  async create({ options }) {
    const { instance } = await WebAssembly.instantiate(binary);
    const { memory, gain } = instance.exports;
    return {
      process(frame) {
        const samples = new Float32Array(memory.buffer, 0, frame.length);
        samples.set(frame);
        gain(0, frame.length, options.gain ?? 0.5);
        return samples;
      },
    };
  },
};
