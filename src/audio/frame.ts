/** A piece of audio: interleaved signed 16-bit samples. */
export interface AudioFrame {
  /** `samplesPerChannel * numChannels` values. */
  data: Int16Array;
  sampleRate: number;
  numChannels: number;
  samplesPerChannel: number;
}
