import type { CallbackCase } from '../messages.js' with { 'resolution-mode': 'import' };

import wireFormat = require('./wire-format.cjs');

/** A range of the program's memory. */
interface Range {
  address: number;
  length: number;
}

/** Where a request message keeps a pointer and what gives the length behind it, by protobuf field number. */
interface PointerFields {
  /** Field of the message that holds the pointer, when it is not the request itself. */
  inside?: number;
  pointer: number;
  /** The length is the product of these fields and `unitBytes`. */
  lengths: number[];
  unitBytes: number;
}

const { WireReader } = wireFormat;

const sampleBytes = 2;
/** AudioFrameBufferInfo: data_ptr, num_channels, samples_per_channel. */
const audioFrame: PointerFields = { inside: 2, pointer: 1, lengths: [2, 4], unitBytes: sampleBytes };
/** data_ptr and a size in bytes in the request itself. */
const sizedBytes: PointerFields = { pointer: 2, lengths: [3], unitBytes: 1 };

/** VideoBufferInfo, in field 2 of its requests. */
const videoBuffer = { inside: 2, height: 3, pointer: 4, stride: 6, components: 7 };
const componentFields = { pointer: 1, size: 3 };
const requestsWithVideo = [22, 23]; // capture_video_frame, video_convert

/** By field number of the request in FfiRequest. */
const requestsWithPointers = new Map<number, PointerFields>([
  [7, sizedBytes], // publish_data
  [27, audioFrame], // capture_audio_frame
  [30, audioFrame], // remix_and_resample
  [34, sizedBytes], // push_sox_resampler
  [51, sizedBytes], // apm_process_stream
  [52, sizedBytes], // apm_process_reverse_stream
  [87, { inside: 2, pointer: 1, lengths: [2], unitBytes: 1 }], // capture_encoded_video_frame
]);

/** A request whose response is known without the engine: nothing, or the id of the callback that comes later. */
interface PostableRequest {
  /** Field number of the response in FfiResponse. */
  response: number;
  /** The callback, and the field of the request in which the program may choose its id. Without: nothing comes later. */
  later?: { callback: CallbackCase; idField: number };
}

const later = (response: number, callback: CallbackCase, idField: number): PostableRequest => ({
  response,
  later: { callback, idField },
});

/** By field number of the request in FfiRequest. */
const postableRequests = new Map<number, PostableRequest>([
  [3, later(3, 'connect', 4)],
  [4, later(4, 'disconnect', 2)],
  [5, later(5, 'publishTrack', 4)],
  [6, later(6, 'unpublishTrack', 4)],
  [7, later(7, 'publishData', 8)],
  [9, later(9, 'setLocalMetadata', 3)],
  [10, later(10, 'setLocalName', 3)],
  [11, later(11, 'setLocalAttributes', 3)],
  [12, later(12, 'getSessionStats', 2)],
  [13, later(13, 'publishTranscription', 5)],
  [14, later(14, 'publishSipDtmf', 5)],
  [19, later(19, 'getStats', 2)],
  [22, { response: 22 }], // capture_video_frame
  [27, later(27, 'captureAudioFrame', 3)],
  [36, later(36, 'chatMessage', 5)],
  [37, later(36, 'chatMessage', 6)], // edit_chat_message answers as send_chat_message
  [38, later(37, 'performRpc', 6)],
  [41, { response: 40 }], // rpc_method_invocation_response
  [44, later(43, 'sendStreamHeader', 5)],
  [45, later(44, 'sendStreamChunk', 5)],
  [46, later(45, 'sendStreamTrailer', 5)],
  [55, later(54, 'byteStreamReaderReadAll', 2)],
  [56, later(55, 'byteStreamReaderWriteToFile', 2)],
  [58, later(57, 'textStreamReaderReadAll', 2)],
  [59, later(58, 'sendFile', 4)],
  [60, later(59, 'sendText', 4)],
  [61, later(60, 'byteStreamOpen', 3)],
  [62, later(61, 'byteStreamWriterWrite', 3)],
  [63, later(62, 'byteStreamWriterClose', 3)],
  [64, later(63, 'textStreamOpen', 3)],
  [65, later(64, 'textStreamWriterWrite', 3)],
  [66, later(65, 'textStreamWriterClose', 3)],
  [67, later(66, 'sendBytes', 4)],
  [69, later(68, 'publishDataTrack', 3)],
  [85, later(85, 'defineSchema', 4)],
  [86, later(86, 'getSchema', 4)],
]);

type Numbers = ReadonlyMap<number, number>;
const none: Numbers = new Map();

/** What the program's thread needs to know of an encoded FfiRequest. */
class ProgramRequest {
  /** Field number in FfiRequest; 0 for an empty request. */
  readonly kind: number = 0;
  /** How it is answered without the engine; undefined for one that only the engine can answer. */
  readonly postable: PostableRequest | undefined;
  /** The numbers in the request, by field; the last of each. */
  readonly numbers: Numbers = none;
  #bytes: Uint8Array;
  /** Where messages and strings lie in the request, by field. */
  #ranges = new Map<number, [from: number, to: number]>();

  /** @throws RangeError when the bytes are not protobuf */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    const reader = new WireReader(bytes);
    let body: [number, number] | undefined;
    while (reader.next()) {
      this.kind = reader.field;
      body = reader.range();
    }
    this.postable = postableRequests.get(this.kind);
    if (body) this.numbers = this.#read(body, this.#ranges);
  }

  /** The numbers in a message within the request, by field. @throws RangeError when its bytes are not protobuf */
  numbersIn(field: number): Numbers {
    const range = this.#ranges.get(field);
    return range ? this.#read(range) : none;
  }

  /**
   * The range of the program's memory that the request points to; undefined for a request without a pointer.
   *
   * @throws RangeError when the bytes are not protobuf
   */
  buffer(): Range | undefined {
    if (requestsWithVideo.includes(this.kind)) return this.#videoBuffer();
    const where = requestsWithPointers.get(this.kind);
    if (!where) return undefined;
    const numbers = where.inside === undefined ? this.numbers : this.numbersIn(where.inside);
    const address = numbers.get(where.pointer);
    if (address === undefined) return undefined;
    const length = where.lengths.reduce(
      (product, field) => product * (numbers.get(field) ?? 0),
      where.unitBytes,
    );
    return { address, length };
  }

  /** From a picture's first byte to the end of its last row: its planes are listed, but for those of RGB. */
  #videoBuffer(): Range | undefined {
    const range = this.#ranges.get(videoBuffer.inside);
    if (!range) return undefined;
    const numbers = this.#read(range);
    const address = numbers.get(videoBuffer.pointer);
    if (address === undefined) return undefined;
    let end = address + (numbers.get(videoBuffer.stride) ?? 0) * (numbers.get(videoBuffer.height) ?? 0);
    const reader = new WireReader(this.#bytes, ...range);
    while (reader.next()) {
      const component = reader.field === videoBuffer.components ? reader.range() : undefined;
      if (!component) continue;
      const plane = this.#read(component);
      const start = plane.get(componentFields.pointer) ?? 0;
      end = Math.max(end, start + (plane.get(componentFields.size) ?? 0));
    }
    return { address, length: end - address };
  }

  #read([from, to]: [number, number], ranges?: Map<number, [number, number]>): Numbers {
    const numbers = new Map<number, number>();
    const reader = new WireReader(this.#bytes, from, to);
    while (reader.next()) {
      const range = reader.range();
      if (range) ranges?.set(reader.field, range);
      else numbers.set(reader.field, reader.value);
    }
    return numbers;
  }
}

export = ProgramRequest;
