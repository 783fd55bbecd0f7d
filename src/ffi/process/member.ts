import { type ChildProcess, fork, type Serializable } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createLogger } from '../../logging/index.js';

const log = createLogger('ffi/process');

/** The two connections of a program on the C library. */
export interface Channels {
  /** Requests come in and answers go out. */
  requests: Socket;
  /** Events go out. */
  events: Socket;
}

/** What a listening engine says to a member with each channel of a program. */
export interface ToMember {
  channel: keyof Channels;
  program: number;
}

/** What a member says: that it can take programs, and that one is gone. */
export type FromMember = { is: 'ready' } | { is: 'gone'; program: number };

/** Argument of a member that serves one program: it may send that one its log. */
export const aloneArgument = '--alone';

interface Served {
  channels: Channels;
  onGone: () => void;
}

export interface MemberOptions {
  /** How many programs it may serve at once. */
  places: number;
  /** It has ended; its programs have been reported gone. */
  onEnd(): void;
}

/** An engine process that a listening engine starts, seen from there. Programs wait until it has started. */
export class Member {
  #options: MemberOptions;
  #process: ChildProcess;
  #served = new Map<number, Served>();
  #isReady = false;
  #lastProgram = 0;

  constructor(options: MemberOptions) {
    this.#options = options;
    // The bundle: what a process takes to start is mostly reading modules.
    const script = fileURLToPath(new URL('../../engine/process.js', import.meta.url));
    this.#process = fork(script, options.places === 1 ? [aloneArgument] : []);
    this.#process.on('message', (message) => this.#onMessage(message as FromMember));
    // A program that cannot be handed over starts its own engine.
    this.#process.on('error', (error) => {
      log.warn(`an engine could not be started or reached: ${error.message}`);
      if (this.#process.pid === undefined) this.#onEnd();
    });
    this.#process.once('exit', () => this.#onEnd());
  }

  get programs(): number {
    return this.#served.size;
  }

  get freePlaces(): number {
    return this.#options.places - this.#served.size;
  }

  /** @param onGone called once when the program is no longer served */
  take(channels: Channels, onGone: () => void): void {
    const program = ++this.#lastProgram;
    this.#served.set(program, { channels, onGone });
    if (this.#isReady) this.#handOver(program, channels);
  }

  /** Takes no more programs: it ends when those that it serves are gone. */
  release(): void {
    if (this.#process.connected) this.#process.disconnect();
  }

  #onMessage(message: FromMember): void {
    if (message.is === 'ready') {
      this.#isReady = true;
      for (const [program, { channels }] of this.#served) this.#handOver(program, channels);
    } else this.#gone(message.program);
  }

  #handOver(program: number, { requests, events }: Channels): void {
    // A program that has given up meanwhile: Node would send the messages without the sockets.
    if (requests.destroyed || events.destroyed) {
      requests.destroy();
      events.destroy();
      this.#gone(program);
      return;
    }
    // This process keeps no copy: the end of either side must be seen by the other.
    this.#send({ channel: 'events', program }, events);
    this.#send({ channel: 'requests', program }, requests);
  }

  #send(message: ToMember, socket: Socket): void {
    this.#process.send(message as unknown as Serializable, socket, (error) => {
      if (error) log.warn(`a program could not be handed over: ${error.message}`);
    });
  }

  #gone(program: number): void {
    const served = this.#served.get(program);
    this.#served.delete(program);
    served?.onGone();
  }

  #onEnd(): void {
    for (const [program, { channels }] of this.#served) {
      channels.requests.destroy();
      channels.events.destroy();
      this.#gone(program);
    }
    this.#options.onEnd();
  }
}
