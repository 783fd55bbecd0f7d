import { limits } from '../limits.js';

/** One voice of the mix. */
export interface MixerInput {
  push(samples: Int16Array): void;
  close(): void;
}

/** Adds up voices, 10 ms at a time. Each has a short queue, since they come one after another within a tick. */
export class Mixer {
  readonly #sampleRate: number;
  readonly #inputs = new Set<Int16Array[]>();
  readonly #sum: Int32Array;
  readonly #mixed: Int16Array;
  readonly #silence: Int16Array;

  constructor(sampleRate: number) {
    this.#sampleRate = sampleRate;
    this.#sum = new Int32Array(sampleRate / 100);
    this.#mixed = new Int16Array(sampleRate / 100);
    this.#silence = new Int16Array(sampleRate / 100);
  }

  get sampleRate(): number {
    return this.#sampleRate;
  }

  addInput(): MixerInput {
    const queue: Int16Array[] = [];
    this.#inputs.add(queue);
    return {
      // The samples are the giver's own only during the call.
      push: (samples) => {
        queue.push(samples.slice());
        if (queue.length > limits.waitingVoiceMs.value / 10) queue.shift();
      },
      close: () => this.#inputs.delete(queue),
    };
  }

  /** The next 10 ms; valid until the next call. Runs a hundred times a second and call. */
  take(): Int16Array {
    let first: Int16Array | undefined;
    let isMixed = false;
    for (const queue of this.#inputs) {
      const samples = queue.shift();
      if (!samples) continue;
      if (!first) first = samples;
      else {
        if (!isMixed) this.#sum.set(first);
        isMixed = true;
        for (let i = 0; i < this.#sum.length; i++) this.#sum[i]! += samples[i] ?? 0;
      }
    }
    // One voice, the usual case, goes through as it is.
    if (!isMixed) return first ?? this.#silence;
    for (let i = 0; i < this.#mixed.length; i++) {
      this.#mixed[i] = Math.max(-32_768, Math.min(32_767, this.#sum[i]!));
    }
    return this.#mixed;
  }
}
