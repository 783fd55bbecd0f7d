const probeEveryMs = 50;
/** What the server says to a message leaves it some time after it has the message. */
const answersWithinMs = 300;
/** A server that answers no pings at all is left alone. */
const maxProbes = 200;

/**
 * Follows messages with pings until one has been answered that left a moment later. TCP notices a lost packet by what
 * comes after it, within a round trip; without anything after it only by a time-out, which doubles each time: at 30 % loss
 * a lone message may take ten seconds. The pongs do the same for what the server says.
 */
export class LossProbe {
  #ping: (id: string) => void;
  #timer: NodeJS.Timeout | undefined;
  #count = 0;
  #messageMs = 0;
  /** The first ping whose answer is enough. */
  #enough: number | undefined;
  #sentSince = 0;

  constructor(ping: (id: string) => void) {
    this.#ping = ping;
  }

  /** A message has been sent. */
  messageSent(): void {
    this.#messageMs = performance.now();
    this.#enough = undefined;
    this.#sentSince = 0;
    this.#timer ??= setInterval(() => this.#probe(), probeEveryMs).unref();
  }

  pong(id: string): void {
    if (this.#enough !== undefined && Number(id) >= this.#enough) this.stop();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #probe(): void {
    if (++this.#sentSince > maxProbes) {
      this.stop();
      return;
    }
    this.#count++;
    if (performance.now() - this.#messageMs >= answersWithinMs) this.#enough ??= this.#count;
    this.#ping(String(this.#count));
  }
}
