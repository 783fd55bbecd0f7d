// A program in a process of its own that prints JSON lines, on the engine that was asked for: in Node, or in Python.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { buildNative } from '../../scripts/build-native.mjs';
import { python } from '../../scripts/python-tools.mjs';

/** @typedef {'native' | 'offhook'} Engine LiveKit's native engine, or this one through `offhook/register` */
/** @typedef {{ event: string, atMs: number, [detail: string]: unknown }} ProgramEvent `atMs`: since 1970 */

const root = fileURLToPath(new URL('../..', import.meta.url));
const participantScripts = {
  node: fileURLToPath(new URL('participant.mjs', import.meta.url)),
  python: fileURLToPath(new URL('participant.py', import.meta.url)),
};
const defaultTimeoutMs = 15_000;

/**
 * Arguments for `node` that put a program on `engine`; `offhook` needs a build in dist/.
 *
 * @param {Engine} engine
 * @returns {string[]}
 */
export function nodeArguments(engine) {
  return engine === 'offhook' ? ['--import', join(root, 'dist/ffi/register.js')] : [];
}

/**
 * The environment of a program on an engine chosen by its arguments: ours without what would select another one.
 *
 * @param {Record<string, string>} [more]
 * @returns {NodeJS.ProcessEnv}
 */
export function engineEnvironment(more = {}) {
  const { NAPI_RS_NATIVE_LIBRARY_PATH, NODE_OPTIONS, LIVEKIT_LIB_PATH, ...rest } = process.env;
  return { ...rest, ...more };
}

/**
 * The environment that puts a Python program on `engine`; `offhook` needs a build in dist/ and a C compiler.
 *
 * @param {Engine} engine
 * @param {Record<string, string>} [more]
 * @returns {NodeJS.ProcessEnv}
 */
export function pythonEnvironment(engine, more = {}) {
  const quiet = { PYTHONUNBUFFERED: '1', PYTHONWARNINGS: 'ignore' };
  const chosen =
    engine === 'offhook' ? { LIVEKIT_LIB_PATH: buildNative(), OFFHOOK_NODE: process.execPath } : {};
  return engineEnvironment({ ...quiet, ...chosen, ...more });
}

export class Program {
  /** @type {ProgramEvent[]} */
  events = [];
  /** @type {string[]} Lines of standard output that are no events or answers, and all of standard error. */
  output = [];
  /** @type {Promise<number | string>} Exit code, or the signal's name, once the process has ended. */
  ended;
  #child;
  #exited;
  #gone = false;
  /** @type {Set<{ matches: (event: ProgramEvent) => boolean, resolve: (event: ProgramEvent) => void }>} */
  #waiters = new Set();
  /** @type {Map<number, (line: { value?: unknown, error?: string }) => void>} */
  #replies = new Map();
  /** @type {Set<(line: string) => void>} */
  #lineListeners = new Set();
  #lastId = 0;

  /**
   * @param {string} script
   * @param {{ engine: Engine, args?: string[], env?: Record<string, string> }} options
   */
  constructor(script, { engine, args = [], env }) {
    const [command, environment, before] = script.endsWith('.py')
      ? [python, pythonEnvironment(engine, env), []]
      : [process.execPath, engineEnvironment(env), nodeArguments(engine)];
    this.#child = spawn(command, [...before, script, ...args], {
      cwd: root,
      env: environment,
      // A process group of its own, so that the processes which it forks can be ended with it.
      detached: true,
    });
    process.once('exit', this.#killGroup);
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#onLine(line));
    createInterface({ input: this.#child.stderr }).on('line', (line) => this.#keep(line));
    this.#child.stdin.on('error', () => {});
    /** @type {Promise<void>} */
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.ended = new Promise((resolve) =>
      this.#child.once('close', (code, signal) => {
        const end = code ?? signal ?? 'unknown';
        this.#gone = true;
        for (const reply of this.#replies.values()) reply({ error: `the program ended (${end})` });
        resolve(end);
      }),
    );
  }

  /** @returns {number} */
  get pid() {
    return this.#child.pid ?? 0;
  }

  /**
   * Sends a command to a program that takes them (`participant.mjs`), and resolves with its answer.
   *
   * @template [T=Record<string, unknown>]
   * @param {string} command
   * @param {Record<string, unknown>} [args]
   * @param {number} [timeoutMs]
   * @returns {Promise<T>}
   */
  async call(command, args = {}, timeoutMs = defaultTimeoutMs) {
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = new Promise((resolve) => this.#replies.set(id, resolve));
    if (this.#gone) throw new Error(`${command}: the program has ended`);
    this.#child.stdin.write(`${JSON.stringify({ id, command, ...args })}\n`);
    const { value, error } = await this.#within(answer, timeoutMs, `no answer to ${command}`);
    this.#replies.delete(id);
    if (error !== undefined) throw new Error(`${command}: ${error}`);
    return value;
  }

  /**
   * Resolves with the first event, past or future, that has this name and these details.
   *
   * @param {string} event
   * @param {Record<string, unknown> | ((event: ProgramEvent) => boolean)} [details]
   * @param {number} [timeoutMs]
   * @returns {Promise<ProgramEvent>}
   */
  async waitFor(event, details = {}, timeoutMs = defaultTimeoutMs) {
    const matches = (candidate) =>
      candidate.event === event &&
      (typeof details === 'function'
        ? details(candidate)
        : Object.entries(details).every(([key, value]) => candidate[key] === value));
    const past = this.events.find(matches);
    if (past) return past;
    let waiter;
    const future = new Promise((resolve) => {
      waiter = { matches, resolve };
      this.#waiters.add(waiter);
    });
    try {
      return await this.#within(future, timeoutMs, `no event ${event} ${JSON.stringify(details)}`);
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  /**
   * Resolves when a line that holds `text` has been printed: for programs that print no events.
   *
   * @param {string} text
   * @param {number} [timeoutMs]
   */
  async waitForLine(text, timeoutMs = defaultTimeoutMs) {
    if (this.output.some((line) => line.includes(text))) return;
    let listener;
    const printed = new Promise((resolve) => {
      listener = (line) => line.includes(text) && resolve(undefined);
      this.#lineListeners.add(listener);
    });
    try {
      await this.#within(printed, timeoutMs, `no line with “${text}”`);
    } finally {
      this.#lineListeners.delete(listener);
    }
  }

  /**
   * What a participant has heard of `identity` since it was last asked.
   *
   * @param {string} identity
   * @returns {Promise<{ samples: Int16Array, sampleRate: number }>}
   */
  async takeHeard(identity) {
    const folder = mkdtempSync(join(tmpdir(), 'offhook-heard-'));
    try {
      const path = join(folder, 'heard.pcm');
      const { sampleRate } = await this.call('takeHeard', { identity, path });
      const bytes = readFileSync(path);
      const samples = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2).slice();
      return { sampleRate: Number(sampleRate), samples };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  /**
   * Resolves when the participant sees `identity` in the room: one that is there already, or that comes.
   *
   * @param {string} identity
   */
  async untilPresent(identity) {
    const comes = this.waitFor('participantConnected', { identity });
    const present = await this.call('participants');
    if (
      /** @type {{ identity: string }[]} */ (present).some((participant) => participant.identity === identity)
    ) {
      comes.catch(() => {});
      return;
    }
    await comes;
  }

  /**
   * Its exit code, or the name of the signal that ended it. A program that is still there after `timeoutMs` is ended.
   *
   * @param {number} [timeoutMs]
   */
  async untilEnded(timeoutMs = defaultTimeoutMs) {
    const timer = setTimeout(this.#killGroup, timeoutMs);
    const end = await this.ended;
    clearTimeout(timer);
    return end;
  }

  /** Ends the program and what it forked: SIGTERM, and SIGKILL to what is still there after `graceMs`. */
  async stop(graceMs = 3_000) {
    process.removeListener('exit', this.#killGroup);
    this.#child.kill('SIGTERM');
    const timer = setTimeout(this.#killGroup, graceMs);
    await this.#exited;
    clearTimeout(timer);
    this.#killGroup();
    await this.ended;
  }

  #killGroup = () => {
    try {
      process.kill(-this.pid, 'SIGKILL');
    } catch {
      // Nothing of the group is left.
    }
  };

  #keep(line) {
    this.output.push(line);
    for (const listener of this.#lineListeners) listener(line);
  }

  #onLine(line) {
    const parsed = line.startsWith('{') ? JSON.parse(line) : {};
    if (parsed.reply !== undefined) {
      this.#replies.get(parsed.reply)?.(parsed);
    } else if (parsed.event === undefined) {
      this.#keep(line);
    } else {
      this.events.push(parsed);
      for (const waiter of this.#waiters) if (waiter.matches(parsed)) waiter.resolve(parsed);
    }
  }

  async #within(work, timeoutMs, what) {
    let timer;
    const tooLate = new Promise((_resolve, reject) => {
      timer = setTimeout(() => {
        const tail = this.output.slice(-8).join('\n');
        const seen = this.events.map(({ event }) => event).join(', ');
        reject(new Error(`${what} within ${timeoutMs} ms; events so far: ${seen}\n${tail}`));
      }, timeoutMs);
    });
    return Promise.race([work, tooLate]).finally(() => clearTimeout(timer));
  }
}

/**
 * A steered participant (`participant.mjs`, `participant.py`) on `engine`; see those files for the commands it takes.
 *
 * @param {Engine} engine
 * @param {Record<string, string>} [env]
 * @param {'node' | 'python'} [language]
 */
export function startParticipant(engine, env, language = 'node') {
  return new Program(participantScripts[language], { engine, env });
}
