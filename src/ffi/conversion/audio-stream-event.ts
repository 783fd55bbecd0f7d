import type { AudioFrame } from '../../audio/index.js';
import type { LentBuffer } from '../wire.js';

/** Field numbers of the protocol, on the way from FfiEvent to the frame. */
const field = {
  audioStreamEvent: 4,
  streamHandle: 1,
  frameReceived: 2,
  frame: 1,
  handle: 1,
  handleId: 1,
  info: 2,
  dataPtr: 1,
  numChannels: 2,
  sampleRate: 3,
  samplesPerChannel: 4,
};

const varint = 0;
const lengthDelimited = 2;
/** More than the largest event of this kind takes. */
const maxLength = 96;

/** Writes protobuf's wire format from the end to the beginning, so that lengths are known when they are written. */
class BackwardWriter {
  #bytes = new Uint8Array(maxLength);
  #at = maxLength;

  number(fieldNumber: number, value: number): void {
    this.#varint(value);
    this.#bytes[--this.#at] = (fieldNumber << 3) | varint;
  }

  /** Makes a message of what `write` writes. */
  message(fieldNumber: number, write: () => void): void {
    const end = this.#at;
    write();
    this.#varint(end - this.#at);
    this.#bytes[--this.#at] = (fieldNumber << 3) | lengthDelimited;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(this.#at);
  }

  #varint(value: number): void {
    let length = 1;
    for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
    this.#at -= length;
    let rest = value;
    for (let i = 0; i < length; i++) {
      this.#bytes[this.#at + i] = (rest % 128) | (i < length - 1 ? 128 : 0);
      rest = Math.floor(rest / 128);
    }
  }
}

/**
 * The encoded FfiEvent that tells of a frame. There are a hundred a second for each stream, so they are written here
 * rather than through the message classes: in 1 us instead of 10.
 */
export function encodeFrameEvent(streamHandle: number, frame: AudioFrame, buffer: LentBuffer): Uint8Array {
  const writer = new BackwardWriter();
  writer.message(field.audioStreamEvent, () => {
    writer.message(field.frameReceived, () =>
      writer.message(field.frame, () => {
        writer.message(field.info, () => {
          writer.number(field.samplesPerChannel, frame.samplesPerChannel);
          writer.number(field.sampleRate, frame.sampleRate);
          writer.number(field.numChannels, frame.numChannels);
          writer.number(field.dataPtr, buffer.address);
        });
        writer.message(field.handle, () => writer.number(field.handleId, buffer.handle));
      }),
    );
    writer.number(field.streamHandle, streamHandle);
  });
  return writer.finish();
}
