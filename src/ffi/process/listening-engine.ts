import { type ChildProcess, fork } from 'node:child_process';
import { chmodSync, rmdirSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { basename, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { Program } from './program.js';
import { type Preface, prefaceBytes, readPreface } from './wire.js';

/** A program that connects one channel and not the other is let go. */
const pairingDeadlineMs = 5_000;

/** What one engine serves at once: bounds what its failure costs, and the CPU of its one thread. */
const maxSharedPrograms = 20;

const log = createLogger('ffi/process');

export interface ListeningEngineOptions {
  /** Path of a Unix socket, or name of a pipe on Windows. */
  address: string;
  /**
   * `shared`: up to 20 programs are served by this process, and more each by one of its own. `own`: each by a process of its
   * own, one of which waits ready.
   */
  mode: 'shared' | 'own';
}

interface Channels {
  requests: Socket;
  events: Socket;
}

/** Waits at a socket for programs on the C library, so that none of them has to wait for an engine to start. */
export class ListeningEngine {
  #options: ListeningEngineOptions;
  #server = createServer({ pauseOnConnect: true }, (socket) => this.#onConnection(socket));
  /** Programs of which one channel is here, by the id in their prefaces. */
  #halves = new Map<bigint, { channel: number; socket: Socket; deadline: NodeJS.Timeout }>();
  #programs = 0;
  /** Of them, those that this process serves. */
  #shared = 0;
  #spare: ChildProcess | undefined;
  #closing = false;
  #onIdle: () => void = () => {};

  constructor(options: ListeningEngineOptions) {
    this.#options = options;
  }

  async listen(): Promise<void> {
    const { address, mode } = this.#options;
    rmSync(address, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(address, resolve);
    });
    // Who may connect may speak in the name of the programs that are served here.
    if (process.platform !== 'win32') chmodSync(address, 0o600);
    if (mode === 'own') this.#prepareSpare();
  }

  /** Takes no more programs; resolves when those that are served are gone. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#server.close();
    removeAddress(this.#options.address);
    this.#spare?.kill('SIGKILL');
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
    if (this.#options.mode === 'own' || this.#shared >= maxSharedPrograms) {
      this.#handOver(channels);
      return;
    }
    this.#shared++;
    serve(channels, () => {
      this.#shared--;
      this.#programGone();
    });
  }

  #handOver({ requests, events }: Channels): void {
    const engine = this.#spare ?? startEngine();
    this.#spare = undefined;
    engine.once('exit', () => this.#programGone());
    // This process keeps no copy: the end of either side must be seen by the other.
    engine.send('events', events);
    engine.send('requests', requests, () => this.#prepareSpare());
  }

  #prepareSpare(): void {
    if (this.#closing || this.#spare) return;
    const spare = startEngine();
    this.#spare = spare;
    spare.once('exit', () => {
      if (this.#spare === spare) this.#spare = undefined;
    });
  }

  #programGone(): void {
    this.#programs--;
    if (this.#programs === 0) this.#onIdle();
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

function startEngine(): ChildProcess {
  // The bundle: what a process takes to start is mostly reading modules.
  return fork(fileURLToPath(new URL('../../engine/process.js', import.meta.url)));
}

function serve({ requests, events }: Channels, onGone: () => void): void {
  new Program({ requests, events, onGone });
  // The library waits for this with its first message: what was read before would have been lost.
  requests.write(Buffer.of(1));
  setImmediate(() => requests.resume());
}
