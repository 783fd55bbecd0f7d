/** Reads protobuf's wire format one level deep, field by field. */
class WireReader {
  /** Of the field that `next` has come to. */
  field = 0;
  /** Its value, of a varint or a double; its length in bytes, of anything else. */
  value = 0;
  #bytes: Uint8Array;
  #at: number;
  #end: number;
  #isMessage = false;

  constructor(bytes: Uint8Array, from = 0, to = bytes.length) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
  }

  /** Moves to the next field; false at the end. @throws RangeError when the bytes are not protobuf */
  next(): boolean {
    if (this.#at >= this.#end) return false;
    const tag = this.#varint();
    const wireType = tag & 7;
    this.field = Math.floor(tag / 8);
    this.#isMessage = wireType === 2;
    if (wireType === 0) this.value = this.#varint();
    else if (wireType === 1) this.#double();
    else if (wireType === 2) this.#skip(this.#varint());
    else if (wireType === 5) this.#skip(4);
    else throw new RangeError(`not protobuf: wire type ${wireType}`);
    return true;
  }

  /** The bytes of the field that `next` has come to; undefined for a number. */
  range(): [from: number, to: number] | undefined {
    return this.#isMessage ? [this.#at - this.value, this.#at] : undefined;
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      if (this.#at >= this.#end) throw new RangeError('not protobuf: the message ends within a number');
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  #double(): void {
    this.#skip(8);
    this.value = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#at - 8, 8).getFloat64(
      0,
      true,
    );
  }

  #skip(length: number): void {
    this.#at += length;
    this.value = length;
    if (this.#at > this.#end) throw new RangeError('not protobuf: the message ends within a field');
  }
}

const lengthDelimited = 2;

/** The bytes of a number, in protobuf's encoding. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return bytes;
}

/** A number as a field; the field number is below 16. */
function numberField(field: number, value: number): number[] {
  return [field << 3, ...varint(value)];
}

/** `content` as a message in a field. */
function messageField(field: number, content: number[]): number[] {
  return [...varint(field * 8 + lengthDelimited), ...varint(content.length), ...content];
}

/** A text as a field. */
function textField(field: number, text: string): number[] {
  return messageField(field, [...Buffer.from(text)]);
}

/** The number in the last of `fields`, each within the one before; undefined when it is not there. */
function numberWithin(bytes: Uint8Array, fields: number[]): number | undefined {
  let reader = new WireReader(bytes);
  for (const [depth, field] of fields.entries()) {
    let found = false;
    while (!found && reader.next()) found = reader.field === field;
    if (!found) return undefined;
    const range = reader.range();
    if (depth === fields.length - 1) return range ? undefined : reader.value;
    if (!range) return undefined;
    reader = new WireReader(bytes, ...range);
  }
  return undefined;
}

export = { WireReader, numberField, messageField, textField, numberWithin };
