import type { LentBuffer } from '../wire.js' with { 'resolution-mode': 'import' };

/** Addresses are given out page by page, so that a lookup is one look into a map. */
const pageBytes = 65_536;
/** The program's own memory begins here, the engine's buffers far above. */
const firstProgramPage = 2 ** 16;

interface Region {
  base: number;
  length: number;
  /** The region's bytes while they are there. */
  bytes(): Uint8Array | undefined;
}

const hex = (address: number) => `0x${address.toString(16)}`;

/**
 * The address space of the FFI protocol's pointers. Nothing dereferences them: an address leads to a buffer of the
 * program's (for as long as that is not garbage-collected) or to one that the engine lent, and base + offset works.
 */
class ProgramMemory {
  #pages = new Map<number, Region>();
  #nextPage = firstProgramPage;
  #bases = new WeakMap<ArrayBufferLike, number>();
  #lent = new Map<number, { region: Region; holds: LentBuffer['holds'] }>();
  #collected = new FinalizationRegistry<Region>((region) => this.#forget(region));

  /** The address of `bytes`; a buffer keeps its address for as long as it lives. */
  addressOf(bytes: Uint8Array): number {
    const { buffer } = bytes;
    let base = this.#bases.get(buffer);
    if (base === undefined) {
      base = this.#nextPage * pageBytes;
      const length = buffer.byteLength;
      const weak = new WeakRef(buffer);
      const region: Region = {
        base,
        length,
        bytes: () => {
          const target = weak.deref();
          return target && new Uint8Array(target);
        },
      };
      this.#nextPage += this.#map(region);
      this.#bases.set(buffer, base);
      this.#collected.register(buffer, region);
    }
    return base + bytes.byteOffset;
  }

  /** Keeps a buffer of the engine's for its handle, in place of an earlier one of the same handle. */
  lend({ address, bytes, handle, holds }: LentBuffer): void {
    this.release(handle);
    const region: Region = { base: address, length: bytes.byteLength, bytes: () => bytes };
    this.#map(region);
    this.#lent.set(handle, { region, holds });
  }

  /** Lets go of the buffer lent for `handle`. Returns what the handle was to it, undefined when there was none. */
  release(handle: number): LentBuffer['holds'] | undefined {
    const lent = this.#lent.get(handle);
    if (!lent) return undefined;
    this.#lent.delete(handle);
    this.#forget(lent.region);
    return lent.holds;
  }

  /**
   * A view of `length` bytes at `address`.
   *
   * @throws RangeError for an address of no buffer, or of one with fewer bytes
   */
  view(address: number, length: number): Uint8Array {
    if (length === 0) return new Uint8Array(0);
    const region = this.#pages.get(Math.floor(address / pageBytes));
    const bytes = region?.bytes();
    if (!region || !bytes) {
      throw new RangeError(`pointer ${hex(address)} belongs to no buffer: it was freed, or never given out`);
    }
    const offset = address - region.base;
    if (offset + length > region.length) {
      throw new RangeError(
        `${length} bytes at ${hex(address)} are more than the buffer holds: ` +
          `it has ${region.length} bytes at ${hex(region.base)}`,
      );
    }
    return bytes.subarray(offset, offset + length);
  }

  /** @returns how many pages the region takes */
  #map(region: Region): number {
    const first = region.base / pageBytes;
    const count = Math.max(1, Math.ceil(region.length / pageBytes));
    for (let page = first; page < first + count; page++) this.#pages.set(page, region);
    return count;
  }

  #forget(region: Region): void {
    const first = region.base / pageBytes;
    const count = Math.max(1, Math.ceil(region.length / pageBytes));
    for (let page = first; page < first + count; page++) this.#pages.delete(page);
  }
}

export = ProgramMemory;
