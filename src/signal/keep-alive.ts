import { DeadlineTimer } from '../deadlines/index.js';
import { timerMs } from '../limits.js';

export interface KeepAliveOptions {
  /** JoinResponse.ping_interval; 0 means that the server wants no pings. */
  intervalMs: number;
  /** JoinResponse.ping_timeout: how long the server may be silent. */
  timeoutMs: number;
  ping(): void;
  /** Called once, after which nothing more is called. */
  silent(): void;
}

/** Pings at the server's interval and says when the server has been silent for too long. */
export class KeepAlive {
  #pings: NodeJS.Timeout | undefined;
  #silence: DeadlineTimer | undefined;

  constructor(options: KeepAliveOptions) {
    if (options.intervalMs <= 0) return;
    this.#pings = setInterval(() => options.ping(), timerMs(options.intervalMs));
    if (options.timeoutMs <= 0) return;
    this.#silence = new DeadlineTimer(timerMs(options.timeoutMs), () => {
      this.stop();
      options.silent();
    });
  }

  /** Anything that comes from the server shows that it lives. */
  heard(): void {
    this.#silence?.restart();
  }

  stop(): void {
    clearInterval(this.#pings);
    this.#silence?.stop();
    this.#silence = undefined;
  }
}
