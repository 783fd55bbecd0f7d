/** Two payload bytes or less hold no audio: the encoder says that silence goes on (discontinuous transmission). */
export const maxDtxBytes = 2;

const silkFrameSamples = [480, 960, 1920, 2880];
const longestPacketSamples = 5760;

/** How long a packet is in 48 kHz samples, from its first bytes (RFC 6716, section 3); 0 when it is malformed. */
export function opusPacketSamples(packet: Uint8Array): number {
  const toc = packet[0];
  if (toc === undefined) return 0;
  const code = toc & 3;
  const frames = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 0x3f;
  const samples = frameSamples(toc >> 3) * frames;
  return samples <= longestPacketSamples ? samples : 0;
}

function frameSamples(config: number): number {
  if (config < 12) return silkFrameSamples[config & 3]!;
  if (config < 16) return config & 1 ? 960 : 480;
  return 120 << (config & 3);
}

/** The first byte of a packet of the same coding mode that holds one frame of 10 ms. */
export function tenMsToc(toc: number): number {
  const config = toc >> 3;
  const lowest = config < 12 ? config & ~3 : config < 16 ? config & ~1 : (config & ~3) | 2;
  return (lowest << 3) | (toc & 4);
}
