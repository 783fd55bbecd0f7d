import { limits } from '../limits.js';
import { RequestBudget } from '../request-budget.js';
import { startTimeout } from '../timers.js';
import { WorkMeter } from '../work-meter.js';
import { TwirpError } from './twirp-error.js';

interface CallPaceOptions {
  /** For the log. */
  name: string;
  /** Bytes that each participant of the room was sent of it, ever. */
  announcedBytes: () => number;
}

/** What a call that waits costs beside its body. */
const callOverheadBytes = 1_024;

/**
 * The calls of the server API for one room, which a token for that room allows. They have the budget of one participant:
 * beyond it they wait, one behind the other, and other rooms do not wait for them.
 */
export class CallPace {
  #options: CallPaceOptions;
  #work = WorkMeter.forRequests();
  #announced = new RequestBudget(
    limits.announcedBytesPerSecond.value,
    limits.announcedBytesBurst.value,
    performance.now(),
  );
  #waitingBytes = 0;
  #last = Promise.resolve();

  constructor(options: CallPaceOptions) {
    this.#options = options;
  }

  /**
   * Acts when the budget allows it.
   *
   * @throws TwirpError `resource_exhausted` when calls with too many bytes wait
   */
  async run<Value>(bodyBytes: number, act: () => Value | Promise<Value>): Promise<Value> {
    const bytes = bodyBytes + callOverheadBytes;
    if (this.#waitingBytes + bytes > limits.waitingCallsBytes.value)
      throw new TwirpError('resource_exhausted', 'too many calls for this room wait');
    this.#waitingBytes += bytes;
    const turn = this.#last.then(() => this.#affordable());
    this.#last = turn;
    await turn;
    this.#waitingBytes -= bytes;
    const { announcedBytes } = this.#options;
    const before = announcedBytes();
    try {
      // Not awaited in here: what it goes on with later is not the room's work.
      return this.#work.run(act);
    } finally {
      this.#announced.spend(announcedBytes() - before, performance.now());
    }
  }

  async #affordable(): Promise<void> {
    for (;;) {
      const waitMs = Math.max(this.#work.waitMs, this.#announced.waitMs(performance.now()));
      if (waitMs === 0) return;
      await new Promise<void>((resolve) => void startTimeout(this.#options.name, waitMs, resolve));
    }
  }
}
