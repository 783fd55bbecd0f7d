import { type Deadlines, DeadlineTimer } from '../../deadlines/index.js';
import { OffhookError } from '../../errors/index.js';
import type { Span, Timeline } from '../../timeline/index.js';
import type { CandidatePair } from '../../transport/index.js';

const order = ['ice', 'dtls', 'data'] as const;
type MediaStage = (typeof order)[number];

interface MediaStagesOptions {
  timeline: Timeline;
  deadlines: Deadlines;
  /** Which of the two peer connections this is. */
  role: 'publisher' | 'subscriber';
  /** A stage overran its deadline. */
  onOverrun: (error: OffhookError) => void;
}

/** The stages of one peer connection, one after another, each with its row in the timeline and its deadline. */
export class MediaStages {
  #options: MediaStagesOptions;
  #current: { stage: MediaStage; span: Span; deadline: DeadlineTimer; startedMs: number } | undefined;
  /** How many of the stages have begun, or were passed over. */
  #reached = 0;
  /** Rows of the timeline that do not say yet over which addresses. */
  #unaddressed: Span[] = [];

  constructor(options: MediaStagesOptions) {
    this.#options = options;
  }

  /**
   * Begins a stage; those before it have succeeded. A stage may be over before it was reported to begin, and one that was
   * begun is not begun again.
   */
  begin(stage: MediaStage, pair?: CandidatePair): void {
    const index = order.indexOf(stage);
    while (this.#reached <= index) {
      this.#finish('ok');
      this.#start(order[this.#reached]!);
      this.#reached++;
    }
    this.#address(pair);
  }

  #start(stage: MediaStage): void {
    const { timeline, deadlines, role } = this.#options;
    const deadlineMs = deadlines[stage];
    const deadline = new DeadlineTimer(deadlineMs, () => this.#overrun());
    const span = timeline.begin(stage, { detail: role, deadlineMs });
    this.#unaddressed.push(span);
    this.#current = { stage, span, deadline, startedMs: performance.now() };
  }

  /** Everything is up, over `pair`. */
  succeed(pair?: CandidatePair): void {
    this.#reached = order.length;
    this.#finish('ok');
    this.#address(pair);
  }

  /** The pair is known a moment later than that there is one. */
  #address(pair: CandidatePair | undefined): void {
    if (!pair) return;
    for (const span of this.#unaddressed.splice(0)) span.set({ address: addressOf(pair) });
  }

  /** The connection failed or is given up: the stage under way ends so. */
  stop(outcome: 'failed' | 'abandoned'): void {
    this.#finish(outcome);
  }

  /** The stage under way, for errors. */
  get stage(): MediaStage | undefined {
    return this.#current?.stage;
  }

  #finish(outcome: 'ok' | 'failed' | 'abandoned' | 'deadline'): void {
    if (!this.#current) return;
    this.#current.deadline.stop();
    this.#current.span.end(outcome);
    this.#current = undefined;
  }

  #overrun(): void {
    if (!this.#current) return;
    const { stage, startedMs } = this.#current;
    const { role, deadlines, onOverrun } = this.#options;
    this.#finish('deadline');
    onOverrun(
      new OffhookError(
        'OFFHOOK_DEADLINE',
        `${stage} of the ${role} connection did not complete within ${deadlines[stage]} ms`,
        {
          stage,
          elapsedMs: performance.now() - startedMs,
          advice: 'Check that UDP reaches the server, or that it offers TCP or TURN.',
        },
      ),
    );
  }
}

function addressOf({ remote: { address, port, protocol } }: CandidatePair): string {
  return `${address.includes(':') ? `[${address}]` : address}:${port}/${protocol}`;
}
