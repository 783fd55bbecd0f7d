import { OffhookError } from '../errors/index.js';
import type { Attachment } from './wire.js';

/** Where the buffers that the engine lends to a program have their addresses. */
export interface AddressSpace {
  /**
   * Room for `length` bytes.
   *
   * @throws OffhookError `OFFHOOK_OUT_OF_MEMORY` when no memory is left
   */
  allocate(length: number): number;
}

/** Addresses that nothing dereferences: the program's side maps them to buffers. None is used twice. */
export class VirtualAddresses implements AddressSpace {
  /** Far above the addresses of the program's own memory. */
  #next = 2 ** 48;

  allocate(length: number): number {
    const pageBytes = 65_536;
    const address = this.#next;
    this.#next += Math.max(1, Math.ceil(length / pageBytes)) * pageBytes;
    return address;
  }
}

/** The engine's end of the protocol's pointers: addresses for buffers it lends, and the buffers that came with a request. */
export class EngineMemory {
  #addresses: AddressSpace;
  #requestBuffers: readonly Attachment[] = [];
  #writes: Attachment[] = [];

  constructor(addresses: AddressSpace) {
    this.#addresses = addresses;
  }

  /** The address of room for `length` bytes. @throws OffhookError `OFFHOOK_OUT_OF_MEMORY` */
  allocate(length: number): number {
    return this.#addresses.allocate(length);
  }

  beginRequest(buffers: readonly Attachment[]): void {
    this.#requestBuffers = buffers;
    this.#writes = [];
  }

  /** What the request wrote into the program's memory. */
  takeWrites(): Attachment[] | undefined {
    return this.#writes.length > 0 ? this.#writes.splice(0) : undefined;
  }

  endRequest(): void {
    this.#requestBuffers = [];
    this.#writes = [];
  }

  /**
   * The bytes that the current request points to.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST`
   */
  read(address: bigint | undefined, length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0);
    const wanted = Number(address ?? 0);
    const buffer = this.#requestBuffers.find(
      (candidate) => candidate.address <= wanted && wanted < candidate.address + candidate.bytes.length,
    );
    const offset = wanted - (buffer?.address ?? 0);
    if (!buffer || offset + length > buffer.bytes.length) {
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        `${length} bytes at pointer 0x${wanted.toString(16)} did not come with the request`,
      );
    }
    return buffer.bytes.subarray(offset, offset + length);
  }

  /** As `read`, as interleaved 16-bit samples. */
  readSamples(address: bigint | undefined, length: number): Int16Array {
    const bytes = this.read(address, length - (length % 2)).slice();
    return new Int16Array(bytes.buffer, 0, bytes.length / 2);
  }

  /** Writes into the program's memory, once the request is answered. */
  write(address: bigint | undefined, bytes: Uint8Array): void {
    this.#writes.push({ address: Number(address ?? 0), bytes });
  }
}
