/**
 * Interleaved samples with another number of channels: mono is copied to every channel, several channels are averaged
 * to mono, otherwise channels are dropped or repeat the last one. Returns `data` itself when nothing changes.
 */
export function remix(data: Int16Array, fromChannels: number, toChannels: number): Int16Array {
  if (fromChannels === toChannels) return data;
  const frames = Math.floor(data.length / fromChannels);
  const out = new Int16Array(frames * toChannels);
  if (toChannels === 1) {
    for (let i = 0; i < frames; i++) {
      let sum = 0;
      for (let channel = 0; channel < fromChannels; channel++) sum += data[i * fromChannels + channel]!;
      out[i] = Math.round(sum / fromChannels);
    }
    return out;
  }
  for (let i = 0; i < frames; i++) {
    for (let channel = 0; channel < toChannels; channel++) {
      out[i * toChannels + channel] = data[i * fromChannels + Math.min(channel, fromChannels - 1)]!;
    }
  }
  return out;
}
