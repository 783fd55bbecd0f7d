import { limits } from '../limits.js';
import type { SampleFormat } from './samples.js';

/*
 * What the engine and a plugin host say to each other over two sockets: one for control (open, on_load, create), one
 * for frames. Every message is a header of 20 bytes, little-endian, and a payload:
 *
 *   0 u32 bytes of payload   4 u8 type   5 u8 sample format   6 u16 zero
 *   8 u32 stream            12 u32 sequence                  16 u32 value (see each type)
 */

/** Bytes or JSON that no honest peer sends. Not OffhookError: the filter's process loads nothing of the engine's. */
export class FrameProtocolError extends Error {
  readonly code = 'OFFHOOK_PROTOCOL';
}

export const messageTypes = {
  /** JSON, on the control socket, both ways. */
  control: 1,
  /** Samples to filter; value: number of samples wanted back. */
  process: 2,
  /** Stream information as JSON. */
  streamInfo: 3,
  /** The stream ends: destroy it. */
  destroy: 4,
  /** Filtered samples. */
  processed: 5,
  /** The frame could not be filtered; payload: why, as text. */
  failed: 6,
} as const;

export type MessageType = (typeof messageTypes)[keyof typeof messageTypes];

export interface FrameMessage {
  type: MessageType;
  format: SampleFormat;
  stream: number;
  sequence: number;
  value: number;
  payload: Uint8Array;
}

export const headerBytes = 20;
export const maxPayloadBytes = limits.filterMessage.value;

const knownTypes = new Set<number>(Object.values(messageTypes));

/** Writes a message to `bytes`, which has room for it, from `at` on; returns where it ends. */
export function writeMessage(bytes: DataView, at: number, message: FrameMessage): number {
  const { payload } = message;
  bytes.setUint32(at, payload.byteLength, true);
  bytes.setUint8(at + 4, message.type);
  bytes.setUint8(at + 5, message.format === 'float' ? 1 : 0);
  bytes.setUint16(at + 6, 0);
  bytes.setUint32(at + 8, message.stream, true);
  bytes.setUint32(at + 12, message.sequence, true);
  bytes.setUint32(at + 16, message.value, true);
  new Uint8Array(bytes.buffer, bytes.byteOffset + at + headerBytes).set(payload);
  return at + headerBytes + payload.byteLength;
}

/** One message as bytes of their own. */
export function encodeMessage(message: FrameMessage): Buffer {
  const bytes = Buffer.allocUnsafe(headerBytes + message.payload.byteLength);
  writeMessage(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, message);
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
 * @throws FrameProtocolError when it is not a JSON object
 */
export function decodeControl(message: FrameMessage): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(message.payload).toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {}
  throw new FrameProtocolError('filter host: a control message is not a JSON object');
}

/** Puts messages together from bytes that arrive in pieces of any size. */
export class MessageReader {
  #buffered: Buffer | undefined;

  /**
   * Takes bytes and returns the messages that are whole with them. Payloads are views: copy what is kept.
   * @throws FrameProtocolError for bytes that no honest peer sends; the reader is of no use after that
   */
  push(chunk: Uint8Array): FrameMessage[] {
    const bytes = Buffer.isBuffer(chunk)
      ? chunk
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const all = this.#buffered ? Buffer.concat([this.#buffered, bytes]) : bytes;
    // A frame a wake-up finds no code in the caches; DataView's is the least of it.
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    const messages: FrameMessage[] = [];
    let at = 0;
    while (all.length - at >= headerBytes) {
      const payloadBytes = view.getUint32(at, true);
      const type = view.getUint8(at + 4);
      const format = view.getUint8(at + 5);
      if (payloadBytes > maxPayloadBytes || !knownTypes.has(type) || format > 1) {
        throw new FrameProtocolError('filter host: bytes that are not a message');
      }
      const end = at + headerBytes + payloadBytes;
      if (end > all.length) break;
      messages.push({
        type: type as MessageType,
        format: format === 1 ? 'float' : 'int16',
        stream: view.getUint32(at + 8, true),
        sequence: view.getUint32(at + 12, true),
        value: view.getUint32(at + 16, true),
        payload: new Uint8Array(all.buffer, all.byteOffset + at + headerBytes, payloadBytes),
      });
      at = end;
    }
    // A copy: the chunk may be a buffer that its owner fills again.
    this.#buffered = at === all.length ? undefined : Buffer.from(all.subarray(at));
    return messages;
  }
}
