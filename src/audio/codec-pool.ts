import type { OpusRate } from './opus-rates.js';

/** More idle codecs than this of one kind are left to the garbage collector. */
const maxIdle = 64;

/**
 * Native codec state is freed by the garbage collector only, which does not see its size: five thousand short calls
 * would grow a process by 200 MB. So codecs come back here and are used again.
 */
export class CodecPool<T extends { reset(): void }> {
  #idle = new Map<string, T[]>();
  #create: (rate: OpusRate, channels: 1 | 2) => T;

  constructor(create: (rate: OpusRate, channels: 1 | 2) => T) {
    this.#create = create;
  }

  take(rate: OpusRate, channels: 1 | 2): T {
    return this.#idle.get(`${rate}/${channels}`)?.pop() ?? this.#create(rate, channels);
  }

  giveBack(codec: T, rate: OpusRate, channels: 1 | 2): void {
    const key = `${rate}/${channels}`;
    const idle = this.#idle.get(key) ?? [];
    this.#idle.set(key, idle);
    if (idle.length >= maxIdle) return;
    codec.reset();
    idle.push(codec);
  }
}
