import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Pcm } from './tone.js';

/** Which engine an unmodified program loads: LiveKit's native one, or this one through `offhook/register`. */
export type Engine = 'native' | 'offhook';

/** A JSON line that a program printed. */
export interface ProgramEvent {
  event: string;
  /** Milliseconds since 1970. */
  atMs: number;
  [detail: string]: unknown;
}

export interface ProgramOptions {
  engine: Engine;
  args?: string[];
  env?: Record<string, string>;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const participantScript = fileURLToPath(new URL('participant.mjs', import.meta.url));
const defaultTimeoutMs = 15_000;

/** Arguments for `node` that put a program on `engine`; `offhook` needs a build in dist/. */
export function nodeArguments(engine: Engine): string[] {
  return engine === 'offhook' ? ['--import', join(root, 'dist/ffi/register.js')] : [];
}

/** The environment of a program on `engine`: ours without what would select another one. */
export function engineEnvironment(engine: Engine, more: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { NAPI_RS_NATIVE_LIBRARY_PATH, NODE_OPTIONS, ...rest } = process.env;
  return {
    ...rest,
    ...(engine === 'offhook' && { OFFHOOK_LOG: process.env.OFFHOOK_LOG ?? 'warn' }),
    ...more,
  };
}

interface Waiter {
  matches: (event: ProgramEvent) => boolean;
  resolve: (event: ProgramEvent) => void;
}

/** A Node program in a process of its own that prints JSON lines, on the engine that was asked for. */
export class Program {
  readonly events: ProgramEvent[] = [];
  /** Lines of standard output that are no JSON, and all of standard error. */
  readonly output: string[] = [];
  /** Exit code, or the signal's name, once the process has ended. */
  readonly ended: Promise<number | string>;
  #child: ChildProcessWithoutNullStreams;
  #waiters = new Set<Waiter>();
  #replies = new Map<number, (line: { value?: unknown; error?: string }) => void>();
  #lastId = 0;
  #exit: number | string | undefined;
  #exited: Promise<void>;

  constructor(script: string, { engine, args = [], env }: ProgramOptions) {
    this.#child = spawn(process.execPath, [...nodeArguments(engine), script, ...args], {
      cwd: root,
      env: engineEnvironment(engine, env),
      // A process group of its own, so that the processes which it forks can be ended with it.
      detached: true,
    });
    process.once('exit', this.#killGroup);
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#onLine(line));
    createInterface({ input: this.#child.stderr }).on('line', (line) => this.output.push(line));
    this.#child.stdin.on('error', () => {});
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.ended = new Promise((resolve) =>
      this.#child.once('close', (code, signal) => {
        this.#exit = code ?? signal ?? 'unknown';
        for (const reply of this.#replies.values()) reply({ error: `the program ended (${this.#exit})` });
        resolve(this.#exit);
      }),
    );
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends a command to a program that takes them (`participant.mjs`), and resolves with its answer. */
  async call<T = Record<string, unknown>>(
    command: string,
    args: Record<string, unknown> = {},
    timeoutMs = defaultTimeoutMs,
  ): Promise<T> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise<{ value?: unknown; error?: string }>((resolve) =>
      this.#replies.set(id, resolve),
    );
    this.#child.stdin.write(`${JSON.stringify({ id, command, ...args })}\n`);
    const { value, error } = await this.#within(answer, timeoutMs, `no answer to ${command}`);
    this.#replies.delete(id);
    if (error !== undefined) throw new Error(`${command}: ${error}`);
    return value as T;
  }

  /** Resolves with the first event, past or future, that has this name and these details. */
  async waitFor(
    event: string,
    details: Record<string, unknown> = {},
    timeoutMs = defaultTimeoutMs,
  ): Promise<ProgramEvent> {
    const matches = (candidate: ProgramEvent) =>
      candidate.event === event && Object.entries(details).every(([key, value]) => candidate[key] === value);
    const past = this.events.find(matches);
    if (past) return past;
    let waiter: Waiter | undefined;
    const future = new Promise<ProgramEvent>((resolve) => {
      waiter = { matches, resolve };
      this.#waiters.add(waiter);
    });
    try {
      return await this.#within(future, timeoutMs, `no event ${event} ${JSON.stringify(details)}`);
    } finally {
      this.#waiters.delete(waiter!);
    }
  }

  /** What a participant has heard of `identity` since it was last asked. */
  async takeHeard(identity: string): Promise<Pcm> {
    const folder = mkdtempSync(join(tmpdir(), 'offhook-heard-'));
    try {
      const path = join(folder, 'heard.pcm');
      const { sampleRate } = await this.call<{ sampleRate: number }>('takeHeard', { identity, path });
      const bytes = readFileSync(path);
      return {
        sampleRate,
        samples: new Int16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2).slice(),
      };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /** Ends the program and what it forked: SIGTERM, and SIGKILL to what is still there after `graceMs`. */
  async stop(graceMs = 3_000): Promise<void> {
    process.removeListener('exit', this.#killGroup);
    this.#child.kill('SIGTERM');
    const timer = setTimeout(this.#killGroup, graceMs);
    await this.#exited;
    clearTimeout(timer);
    this.#killGroup();
    await this.ended;
  }

  #killGroup = (): void => {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Nothing of the group is left.
    }
  };

  #onLine(line: string): void {
    if (!line.startsWith('{')) {
      this.output.push(line);
      return;
    }
    const parsed = JSON.parse(line) as Partial<ProgramEvent> & { reply?: number };
    if (parsed.reply !== undefined) this.#replies.get(parsed.reply)?.(parsed as { error?: string });
    if (parsed.event === undefined) return;
    this.events.push(parsed as ProgramEvent);
    for (const waiter of this.#waiters) {
      if (waiter.matches(parsed as ProgramEvent)) waiter.resolve(parsed as ProgramEvent);
    }
  }

  async #within<T>(work: Promise<T>, timeoutMs: number, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        const tail = this.output.slice(-8).join('\n');
        const seen = this.events.map(({ event }) => event).join(', ');
        reject(new Error(`${what} within ${timeoutMs} ms; events so far: ${seen}\n${tail}`));
      }, timeoutMs);
    });
    return Promise.race([work, tooLate]).finally(() => clearTimeout(timer));
  }
}

/** A steered participant (`participant.mjs`) on `engine`; see that file for the commands it takes. */
export function startParticipant(engine: Engine, env?: Record<string, string>): Program {
  return new Program(participantScript, { engine, env });
}
