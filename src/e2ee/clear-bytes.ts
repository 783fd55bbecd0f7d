/** What a frame cryptor must know of an encoded frame: how much of its head a server and a packetizer have to read. */
export type FrameCodec = 'opus' | 'vp8' | 'vp9' | 'av1' | 'h264' | 'h265';

const opusTocBytes = 1;
const vp8KeyFrameBytes = 10;
const vp8DeltaFrameBytes = 3;
/** The header of a slice's NAL unit and the byte after it, as LiveKit's clients leave them readable. */
const sliceHeaderBytes = 2;

/**
 * How many bytes at the head of a frame stay readable, the same as in LiveKit's other clients: the TOC byte of Opus
 * (RFC 6716, section 3.1), the uncompressed header of VP8 (RFC 6386, section 9.1), all up to the first slice of H.264
 * and H.265, nothing of VP9 and AV1.
 */
export function clearBytes(frame: Uint8Array, codec: FrameCodec, isKeyFrame: boolean): number {
  switch (codec) {
    case 'opus':
      return Math.min(opusTocBytes, frame.length);
    case 'vp8':
      return Math.min(isKeyFrame ? vp8KeyFrameBytes : vp8DeltaFrameBytes, frame.length);
    case 'h264':
    case 'h265':
      return firstSliceBytes(frame, codec);
    default:
      return 0;
  }
}

/** Whether bytes of the encrypted part must not look like a start code to a packetizer. */
export function usesStartCodes(codec: FrameCodec): boolean {
  return codec === 'h264' || codec === 'h265';
}

function isSlice(headerByte: number, codec: 'h264' | 'h265'): boolean {
  if (codec === 'h264') {
    const type = headerByte & 0x1f;
    return type === 1 || type === 5;
  }
  const type = (headerByte >> 1) & 0x3f;
  return type <= 9 || (type >= 16 && type <= 21);
}

function firstSliceBytes(frame: Uint8Array, codec: 'h264' | 'h265'): number {
  for (let at = 0; at + 3 < frame.length; at++) {
    if (frame[at] !== 0 || frame[at + 1] !== 0 || frame[at + 2] !== 1) continue;
    if (isSlice(frame[at + 3] ?? 0, codec)) return Math.min(at + 3 + sliceHeaderBytes, frame.length);
    at += 2;
  }
  return 0;
}

/**
 * Whether the first slice of two H.264 frames names the same picture parameter set. libwebrtc drops a key frame whose
 * set it does not know before it is decrypted, and the name may lie behind the bytes that stay clear.
 */
export function haveSamePpsId(frame: Uint8Array, encrypted: Uint8Array, clear: number): boolean {
  return clear < sliceHeaderBytes || ppsId(frame, clear - 1) === ppsId(encrypted, clear - 1);
}

/** The third number of a slice header (H.264, section 7.3.3), which begins at `begin`; undefined when it is too long. */
function ppsId(frame: Uint8Array, begin: number): number | undefined {
  let bit = begin * 8;
  const next = () => ((frame[bit >> 3] ?? 0) >> (7 - (bit++ & 7))) & 1;
  let value = 0;
  for (let number = 0; number < 3; number++) {
    let zeros = 0;
    while (next() === 0) if (++zeros > 16) return undefined;
    value = 1;
    for (let read = 0; read < zeros; read++) value = value * 2 + next();
  }
  return value - 1;
}

const emulationByte = 3;

/** Whether the bytes hold an emulation prevention byte (H.264, section 7.4.1). */
export function hasEmulationPrevention(bytes: Uint8Array): boolean {
  for (let at = 0; at + 2 < bytes.length; at++) {
    if (bytes[at] === 0 && bytes[at + 1] === 0 && bytes[at + 2] === emulationByte) return true;
  }
  return false;
}

/** Puts an emulation prevention byte wherever the bytes would look like a start code. */
export function addEmulationPrevention(bytes: Uint8Array): Buffer {
  // At worst every third byte of the output is one that was put in.
  const output = Buffer.allocUnsafe(bytes.length + Math.ceil(bytes.length / 2));
  let length = 0;
  let zeros = 0;
  for (const byte of bytes) {
    if (byte <= emulationByte && zeros >= 2) {
      output[length++] = emulationByte;
      zeros = 0;
    }
    output[length++] = byte;
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return output.subarray(0, length);
}

/** Takes the emulation prevention bytes out again. */
export function removeEmulationPrevention(bytes: Uint8Array): Buffer {
  const output = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  let zeros = 0;
  for (const byte of bytes) {
    if (byte === emulationByte && zeros >= 2) {
      zeros = 0;
      continue;
    }
    output[length++] = byte;
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return output.subarray(0, length);
}
