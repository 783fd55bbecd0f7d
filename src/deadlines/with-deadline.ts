import { OffhookError, type OffhookErrorDetails, type Stage } from '../errors/index.js';
import { DeadlineTimer } from './deadline-timer.js';

export interface DeadlineOptions extends Omit<OffhookErrorDetails, 'elapsedMs'> {
  stage: Stage;
  /** Of time in which this process runs, see {@link DeadlineTimer}. */
  timeoutMs: number;
  /** The caller's own signal: aborting it abandons the work at once. */
  signal?: AbortSignal;
  /** What was awaited, for the error: `no answer to the join request`. */
  what: string;
}

/**
 * Runs `work` with a signal that aborts when the time is up or the caller aborts, and settles no later than that:
 * work which ignores its signal is abandoned, its late result dropped.
 *
 * @throws OffhookError `OFFHOOK_DEADLINE` or `OFFHOOK_ABORTED`, or whatever `work` throws.
 */
export async function withDeadline<T>(
  options: DeadlineOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { timeoutMs, signal, what, ...details } = options;
  const startedMs = performance.now();
  const elapsedMs = () => performance.now() - startedMs;
  const controller = new AbortController();
  const aborted = () =>
    new OffhookError('OFFHOOK_ABORTED', `${what}: cancelled`, {
      ...details,
      elapsedMs: elapsedMs(),
      cause: signal?.reason,
    });
  if (signal?.aborted) throw aborted();

  return new Promise<T>((resolve, reject) => {
    const stop = () => {
      timer.stop();
      signal?.removeEventListener('abort', onAbort);
    };
    const abandon = (error: OffhookError) => {
      stop();
      reject(error);
      controller.abort(error);
    };
    const onAbort = () => abandon(aborted());
    const timer = new DeadlineTimer(timeoutMs, () =>
      abandon(
        new OffhookError('OFFHOOK_DEADLINE', `${what}: deadline of ${timeoutMs} ms passed`, {
          ...details,
          elapsedMs: elapsedMs(),
        }),
      ),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
    work(controller.signal).then(
      (value) => {
        stop();
        resolve(value);
      },
      (error: unknown) => {
        stop();
        reject(error);
      },
    );
  });
}

/** Settles as `work` does, or rejects with the signal's reason as soon as that is aborted. */
export function untilAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
