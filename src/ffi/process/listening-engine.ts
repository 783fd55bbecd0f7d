import { chmodSync, rmdirSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { type Channels, Member } from './member.js';
import { Program } from './program.js';
import { type Preface, prefaceBytes, readPreface } from './wire.js';

/** A program that connects one channel and not the other is let go. */
const pairingDeadlineMs = 5_000;

interface Places {
  /** Programs that this process serves itself. */
  own: number;
  /** Programs that each further engine serves. */
  perMember: number;
  /** Kept free by starting engines ahead: a program that comes then waits for none. */
  free: number;
}

/**
 * What one engine serves at once bounds what its failure costs, and the CPU of its one thread. Another one that is started
 * when there is no room, and on a machine that is busy then, keeps a call waiting for seconds.
 */
const placesOf: Record<ListeningEngineOptions['mode'], Places> = {
  shared: { own: 20, perMember: 20, free: 5 },
  own: { own: 0, perMember: 1, free: 1 },
};

const log = createLogger('ffi/process');

export interface ListeningEngineOptions {
  /** Path of a Unix socket, or name of a pipe on Windows. */
  address: string;
  /**
   * `shared`: up to 20 programs are served by this process, and each 20 more by another one. `own`: each by a process of its
   * own, one of which waits ready.
   */
  mode: 'shared' | 'own';
}

/** Waits at a socket for programs on the C library, so that none of them has to wait for an engine to start. */
export class ListeningEngine {
  #options: ListeningEngineOptions;
  #places: Places;
  #server = createServer({ pauseOnConnect: true }, (socket) => this.#onConnection(socket));
  /** Programs of which one channel is here, by the id in their prefaces. */
  #halves = new Map<bigint, { channel: number; socket: Socket; deadline: NodeJS.Timeout }>();
  #programs = 0;
  /** Of them, those that this process serves. */
  #served = 0;
  /** Engines that were started, which may serve nobody yet. */
  #members = new Set<Member>();
  #closing = false;
  #onIdle: () => void = () => {};

  constructor(options: ListeningEngineOptions) {
    this.#options = options;
    this.#places = placesOf[options.mode];
  }

  async listen(): Promise<void> {
    const { address } = this.#options;
    rmSync(address, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(address, resolve);
    });
    // Who may connect may speak in the name of the programs that are served here.
    if (process.platform !== 'win32') chmodSync(address, 0o600);
    this.#keepPlaces();
  }

  /** Takes no more programs; resolves when those that are served are gone. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#server.close();
    removeAddress(this.#options.address);
    for (const member of this.#members) member.release();
    if (this.#programs > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }

  #onConnection(socket: Socket): void {
    const deadline = setTimeout(() => socket.destroy(), pairingDeadlineMs);
    socket.on('error', (error) => log.debug(`error on a program's connection: ${error.message}`));
    socket.once('close', () => clearTimeout(deadline));
    socket.on('readable', () => {
      const bytes: Buffer | null = socket.read(prefaceBytes);
      if (!bytes) return;
      socket.removeAllListeners('readable');
      try {
        this.#pair(socket, readPreface(bytes), deadline);
      } catch (error) {
        log.warn(`a connection was refused: ${describeError(error)}`);
        socket.destroy();
      }
    });
  }

  #pair(socket: Socket, { channel, program }: Preface, deadline: NodeJS.Timeout): void {
    const half = this.#halves.get(program);
    if (!half || half.channel === channel) {
      this.#halves.set(program, { channel, socket, deadline });
      socket.once('close', () => {
        if (this.#halves.get(program)?.socket === socket) this.#halves.delete(program);
      });
      return;
    }
    this.#halves.delete(program);
    clearTimeout(deadline);
    clearTimeout(half.deadline);
    const [requests, events] = channel === 0 ? [socket, half.socket] : [half.socket, socket];
    half.socket.removeAllListeners('close');
    this.#serve({ requests, events });
  }

  #serve(channels: Channels): void {
    this.#programs++;
    if (this.#served < this.#places.own) {
      this.#served++;
      serve(channels, () => {
        this.#served--;
        this.#programGone();
      });
    } else {
      const member = [...this.#members].find(({ freePlaces }) => freePlaces > 0) ?? this.#startMember();
      member.take(channels, () => this.#programGone(member));
    }
    this.#keepPlaces();
  }

  #startMember(): Member {
    const member: Member = new Member({
      places: this.#places.perMember,
      onEnd: () => this.#members.delete(member),
    });
    this.#members.add(member);
    return member;
  }

  get #freePlaces(): number {
    const own = this.#places.own - this.#served;
    return [...this.#members].reduce((sum, { freePlaces }) => sum + freePlaces, own);
  }

  #keepPlaces(): void {
    if (!this.#closing && this.#freePlaces < this.#places.free) this.#startMember();
  }

  #programGone(member?: Member): void {
    this.#programs--;
    // An engine that was somebody's own is nobody else's.
    if (member && this.#places.perMember === 1) this.#release(member);
    else this.#releaseIdle();
    if (this.#programs === 0) this.#onIdle();
  }

  /** Lets engines end that serve nobody, once others have had places for more than a few. */
  #releaseIdle(): void {
    const { perMember, free } = this.#places;
    for (const member of this.#members) {
      const isNeeded = perMember === 1 || this.#freePlaces - perMember < 2 * free;
      if (member.programs === 0 && !isNeeded) this.#release(member);
    }
  }

  #release(member: Member): void {
    this.#members.delete(member);
    member.release();
  }
}

/** The socket, and the folder that the Python package made for it. */
function removeAddress(address: string): void {
  rmSync(address, { force: true });
  try {
    if (basename(dirname(address)).startsWith('offhook-')) rmdirSync(dirname(address));
  } catch {
    // Something else is in it.
  }
}

function serve({ requests, events }: Channels, onGone: () => void): void {
  new Program({ requests, events, onGone });
  // The library waits for this with its first message: what was read before would have been lost.
  requests.write(Buffer.of(1));
  setImmediate(() => requests.resume());
}
