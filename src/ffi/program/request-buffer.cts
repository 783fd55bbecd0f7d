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

const sampleBytes = 2;
/** AudioFrameBufferInfo: data_ptr, num_channels, samples_per_channel. */
const audioFrame: PointerFields = { inside: 2, pointer: 1, lengths: [2, 4], unitBytes: sampleBytes };
/** data_ptr and a size in bytes in the request itself. */
const sizedBytes: PointerFields = { pointer: 2, lengths: [3], unitBytes: 1 };

/** By field number of the request in FfiRequest. */
const requestsWithPointers = new Map<number, PointerFields>([
  [7, sizedBytes], // publish_data
  [27, audioFrame], // capture_audio_frame
  [30, audioFrame], // remix_and_resample
  [34, sizedBytes], // push_sox_resampler
  [51, sizedBytes], // apm_process_stream
  [52, sizedBytes], // apm_process_reverse_stream
]);

type Field = number | Uint8Array;

/** Reads protobuf's wire format one level deep: varints as numbers, length-delimited fields as views. */
class WireReader {
  #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The last value of every field. @throws RangeError when the bytes are not protobuf */
  fields(): Map<number, Field> {
    const fields = new Map<number, Field>();
    while (this.#at < this.#bytes.length) {
      const tag = this.#varint();
      const value = this.#value(tag & 7);
      fields.set(tag >>> 3, value);
    }
    return fields;
  }

  #value(wireType: number): Field {
    if (wireType === 0) return this.#varint();
    if (wireType === 1) return this.#take(8);
    if (wireType === 2) return this.#take(this.#varint());
    if (wireType === 5) return this.#take(4);
    throw new RangeError(`request is not protobuf: wire type ${wireType}`);
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new RangeError('request is not protobuf: it ends within a number');
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError('request is not protobuf: it ends within a field');
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }
}

/**
 * The range of the program's memory that an encoded FfiRequest points to; undefined for a request without a pointer.
 *
 * @throws RangeError when the bytes are not protobuf
 */
function requestBuffer(request: Uint8Array): Range | undefined {
  for (const [number, body] of new WireReader(request).fields()) {
    const where = requestsWithPointers.get(number);
    if (!where || typeof body === 'number') continue;
    let fields = new WireReader(body).fields();
    if (where.inside !== undefined) {
      const inner = fields.get(where.inside);
      if (inner === undefined || typeof inner === 'number') return undefined;
      fields = new WireReader(inner).fields();
    }
    const address = fields.get(where.pointer);
    if (typeof address !== 'number') return undefined;
    const length = where.lengths.reduce((product, field) => {
      const value = fields.get(field);
      return product * (typeof value === 'number' ? value : 0);
    }, where.unitBytes);
    return { address, length };
  }
  return undefined;
}

export = requestBuffer;
