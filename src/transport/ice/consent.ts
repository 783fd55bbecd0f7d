const intervalMs = 500;
/** An answer that takes longer is doubted, and asked for more often. */
const doubtAfterMs = 200;
const doubtIntervalMs = 40;
/** So many unanswered checks in a row are no chance: at 30 % loss each way, less than one in a million. */
const silentChecks = 20;
const silentAfterMs = 1_500;

/**
 * Whether the other side still answers on a path (RFC 7675): pure, time is passed in. Silence is counted in checks that
 * left as well as in time, so that a thread which stood still does not take its own absence for the network's.
 */
export class Consent {
  #lastAnswerMs: number;
  #firstUnansweredMs = 0;
  #lastCheckMs: number;
  #unanswered = 0;
  #silent = false;

  constructor(nowMs: number) {
    this.#lastAnswerMs = nowMs;
    this.#lastCheckMs = nowMs;
  }

  get isSilent(): boolean {
    return this.#silent;
  }

  get lastAnswerMs(): number {
    return this.#lastAnswerMs;
  }

  /** A check leaves. */
  checked(nowMs: number): void {
    if (this.#unanswered === 0) this.#firstUnansweredMs = nowMs;
    this.#unanswered++;
    this.#lastCheckMs = nowMs;
  }

  answered(nowMs: number): void {
    this.#lastAnswerMs = nowMs;
    this.#unanswered = 0;
    this.#silent = false;
  }

  /** When the next check is due. */
  nextCheckMs(rttMs: number): number {
    if (this.#unanswered === 0 || this.#silent) return this.#lastCheckMs + intervalMs;
    return Math.max(this.#doubtMs(rttMs), this.#lastCheckMs + doubtIntervalMs);
  }

  /** Whether an answer is late. */
  isDoubted(nowMs: number, rttMs: number): boolean {
    return this.#unanswered > 0 && nowMs >= this.#doubtMs(rttMs);
  }

  #doubtMs(rttMs: number): number {
    return this.#firstUnansweredMs + Math.max(doubtAfterMs, 2 * rttMs);
  }

  /** True once when the path has fallen silent, and again only after it has answered. */
  fellSilent(nowMs: number, rttMs: number): boolean {
    if (this.#silent || this.#unanswered < silentChecks) return false;
    if (nowMs - this.#lastAnswerMs < silentAfterMs + 2 * rttMs) return false;
    this.#silent = true;
    return true;
  }
}
