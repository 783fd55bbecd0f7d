import { OffhookError } from '../../errors/index.js';
import type { AddressSpace } from '../engine-memory.js';

/** Sizes are rounded up to one of four steps between powers of two, so that what is freed fits what comes next. */
const minimumBytes = 64;

/** The smallest size that `bytes` are given, at most a quarter more. Runs for every buffer. */
function roundedUp(bytes: number): number {
  if (bytes <= minimumBytes) return minimumBytes;
  const step = Math.max(minimumBytes, 2 ** (29 - Math.clz32(bytes - 1)));
  return Math.ceil(bytes / step) * step;
}

/**
 * Gives out memory of the program's process, which the C library reserved: the engine knows its addresses and never
 * touches it. What was freed last is given out first, so that the program's memory stays small.
 */
export class Arena implements AddressSpace {
  #next: number;
  #end: number;
  /** Addresses that are free again, by rounded size. */
  #free = new Map<number, number[]>();
  /** Rounded size of what is given out, by address. */
  #used = new Map<number, number>();

  constructor(address: number, length: number) {
    this.#next = address;
    this.#end = address + length;
  }

  allocate(length: number): number {
    const size = roundedUp(length);
    let address = this.#free.get(size)?.pop();
    if (address === undefined) {
      if (size > this.#end - this.#next) {
        throw new OffhookError(
          'OFFHOOK_OUT_OF_MEMORY',
          `no room for a buffer of ${length} bytes: the program holds ${this.#used.size} buffers`,
          { advice: 'Drop the handles of the frames and data that events bring.' },
        );
      }
      address = this.#next;
      this.#next += size;
    }
    this.#used.set(address, size);
    return address;
  }

  free(address: number): void {
    const size = this.#used.get(address);
    if (size === undefined) return;
    this.#used.delete(address);
    const free = this.#free.get(size);
    if (free) free.push(address);
    else this.#free.set(size, [address]);
  }
}
