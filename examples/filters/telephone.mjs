// An audio filter in JavaScript: lets through what a telephone does (300 to 3,400 Hz), at any rate. An agent uses it with
//
//   import { AudioFilter } from '@livekit/rtc-node';
//   new AudioFilter('telephone', fileURLToPath(import.meta.resolve('./filters/telephone.mjs')));
//   session.start({ …, inputOptions: { noiseCancellation: { moduleId: 'telephone', options: { gain: 1 } } } });

/** A second-order section (Bristow-Johnson's audio EQ cookbook), one a channel. */
function section(kind, frequencyHz, sampleRate) {
  const w = (2 * Math.PI * frequencyHz) / sampleRate;
  const alpha = Math.sin(w) / Math.SQRT2;
  const cos = Math.cos(w);
  const edge = kind === 'lowpass' ? (1 - cos) / 2 : (1 + cos) / 2;
  const b1 = kind === 'lowpass' ? 1 - cos : -(1 + cos);
  const a0 = 1 + alpha;
  let [x1, x2, y1, y2] = [0, 0, 0, 0];
  return (x) => {
    const y = (edge * x + b1 * x1 + edge * x2 + 2 * cos * y1 - (1 - alpha) * y2) / a0;
    [x2, x1, y2, y1] = [x1, x, y1, y];
    return y;
  };
}

/** @type {import('offhook').AudioFilterDefinition} */
export default {
  sampleFormat: 'float',
  create({ sampleRate, numChannels, options }) {
    const gain = options.gain ?? 1;
    const channels = Array.from({ length: numChannels }, () => [
      section('highpass', 300, sampleRate),
      section('lowpass', Math.min(3_400, 0.45 * sampleRate), sampleRate),
    ]);
    return {
      process(frame) {
        for (let i = 0; i < frame.length; i++) {
          const [high, low] = channels[i % numChannels];
          frame[i] = gain * low(high(frame[i]));
        }
      },
    };
  },
};
