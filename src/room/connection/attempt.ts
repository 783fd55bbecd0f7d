import { DeadlineTimer, untilAborted } from '../../deadlines/index.js';
import { OffhookError } from '../../errors/index.js';

/** Work that can be abandoned: connecting, resuming, reconnecting, and the wait before them. */
export class Attempt {
  #controller = new AbortController();
  #deadlines = new Set<DeadlineTimer>();

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Abandons the work; `reason` is what it rejects with. */
  abandon(reason: OffhookError = new OffhookError('OFFHOOK_ABORTED', 'the attempt was cancelled')): void {
    this.end();
    this.#controller.abort(reason);
  }

  /** The work is done: its deadlines hold no more. */
  end(): void {
    for (const deadline of this.#deadlines) deadline.stop();
    this.#deadlines.clear();
  }

  /** Abandons the work after `timeoutMs`, unless it ends before. */
  limit(timeoutMs: number, what: string): void {
    const deadline = new DeadlineTimer(timeoutMs, () => {
      this.abandon(new OffhookError('OFFHOOK_DEADLINE', `${what}: deadline of ${timeoutMs} ms passed`));
    });
    this.#deadlines.add(deadline);
  }

  /** @throws the reason when the work is abandoned */
  wait(delayMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.isOver) {
        reject(this.signal.reason);
        return;
      }
      const onAbort = () => {
        clearTimeout(timer);
        reject(this.signal.reason);
      };
      const timer = setTimeout(() => {
        this.signal.removeEventListener('abort', onAbort);
        resolve();
      }, delayMs);
      this.signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Settles as `work` does, or when this is abandoned, whichever comes first. */
  race<Value>(work: Promise<Value>): Promise<Value> {
    return untilAborted(work, this.signal);
  }
}
