import { OffhookError } from '../timeline/index.js';

/*
 * What the engine and a plugin host say to each other over two sockets: one for control (open, on_load, create), one
 * for frames. Every message is a header of 20 bytes, little-endian, and a payload:
 *
 *   0 u32 bytes of payload   4 u8 type   5 u8 sample format   6 u16 zero
 *   8 u32 stream            12 u32 sequence                  16 u32 value (see each type)
 */

export const messageTypes = {
  /** JSON, on the control socket, both ways. */
  control: 1,
  /** Samples to filter; value: number of samples wanted back. */
  process: 2,
  /** Stream information as JSON. */
  streamInfo: 3,
  /** The stream ends: destroy it. */
  destroy: 4,
  /** Filtered samples; value: microseconds that the plugin took. */
  processed: 5,
  /** The frame could not be filtered; payload: why, as text. */
  failed: 6,
} as const;

export type MessageType = (typeof messageTypes)[keyof typeof messageTypes];

export type SampleFormat = 'int16' | 'float';
export type Samples = Int16Array | Float32Array;

export interface FrameMessage {
  type: MessageType;
  format: SampleFormat;
  stream: number;
  sequence: number;
  value: number;
  payload: Uint8Array;
}

export const headerBytes = 20;
/** A second of 8 channels at 48 kHz in float is 1.5 MB; nothing that is honest is larger. */
export const maxPayloadBytes = 2 * 1024 * 1024;

const knownTypes = new Set<number>(Object.values(messageTypes));

/** One message as bytes, ready to be written. */
export function encodeMessage(message: FrameMessage): Buffer {
  const bytes = Buffer.allocUnsafe(headerBytes + message.payload.byteLength);
  bytes.writeUInt32LE(message.payload.byteLength, 0);
  bytes.writeUInt8(message.type, 4);
  bytes.writeUInt8(message.format === 'float' ? 1 : 0, 5);
  bytes.writeUInt16LE(0, 6);
  bytes.writeUInt32LE(message.stream, 8);
  bytes.writeUInt32LE(message.sequence, 12);
  bytes.writeUInt32LE(message.value, 16);
  bytes.set(message.payload, headerBytes);
  return bytes;
}

export function encodeControl(value: unknown): Buffer {
  const payload = Buffer.from(JSON.stringify(value), 'utf8');
  return encodeMessage({
    type: messageTypes.control,
    format: 'int16',
    stream: 0,
    sequence: 0,
    value: 0,
    payload,
  });
}

/**
 * The object in a control message.
 * @throws OffhookError `OFFHOOK_PROTOCOL` when it is not a JSON object
 */
export function decodeControl(message: FrameMessage): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(message.payload).toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {}
  throw new OffhookError('OFFHOOK_PROTOCOL', 'filter host: a control message is not a JSON object');
}

/** The bytes of samples, without a copy. */
export function bytesOf(samples: Samples): Uint8Array {
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

/** Samples of their own, copied out of a payload (which may lie at any address). */
export function samplesOf(payload: Uint8Array, format: SampleFormat): Samples {
  const size = format === 'float' ? 4 : 2;
  const whole = payload.byteLength - (payload.byteLength % size);
  // Not slice(): that of a Buffer is a view.
  const copy = new Uint8Array(payload.subarray(0, whole)).buffer;
  return format === 'float' ? new Float32Array(copy) : new Int16Array(copy);
}

/** Puts messages together from bytes that arrive in pieces of any size. */
export class MessageReader {
  #buffered: Buffer = Buffer.alloc(0);

  /**
   * Takes bytes and returns the messages that are whole with them. Payloads are views: copy what is kept.
   * @throws OffhookError `OFFHOOK_PROTOCOL` for bytes that no honest peer sends; the reader is of no use after that
   */
  push(chunk: Uint8Array): FrameMessage[] {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const all = this.#buffered.length === 0 ? bytes : Buffer.concat([this.#buffered, bytes]);
    const messages: FrameMessage[] = [];
    let at = 0;
    while (all.length - at >= headerBytes) {
      const payloadBytes = all.readUInt32LE(at);
      const type = all.readUInt8(at + 4);
      const format = all.readUInt8(at + 5);
      if (payloadBytes > maxPayloadBytes || !knownTypes.has(type) || format > 1) {
        throw new OffhookError('OFFHOOK_PROTOCOL', 'filter host: bytes that are not a message');
      }
      const end = at + headerBytes + payloadBytes;
      if (end > all.length) break;
      messages.push({
        type: type as MessageType,
        format: format === 1 ? 'float' : 'int16',
        stream: all.readUInt32LE(at + 8),
        sequence: all.readUInt32LE(at + 12),
        value: all.readUInt32LE(at + 16),
        payload: all.subarray(at + headerBytes, end),
      });
      at = end;
    }
    // A copy: the chunk may be a buffer that its owner fills again.
    this.#buffered = at === all.length ? Buffer.alloc(0) : Buffer.from(all.subarray(at));
    return messages;
  }
}
