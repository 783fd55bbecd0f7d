import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { OffhookError } from '../../errors/index.js';

export interface ChildProgramOptions {
  /** Default: this Node. */
  command?: string;
  args: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Every line of standard output and standard error. */
  onLine: (line: string) => void;
}

/** What an error shows of what the program printed. */
const keptLines = 6;
const keptCharacters = 200;

/** A program in a process of its own, read line by line. */
export class ChildProgram {
  /** Exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
  #name: string;
  #child: ChildProcess;
  #lastLines: string[] = [];

  constructor(name: string, { command = process.execPath, args, cwd, env, onLine }: ChildProgramOptions) {
    this.#name = name;
    // A process group of its own, so that the processes which it forks can be ended with it.
    this.#child = spawn(command, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    process.once('exit', this.#killGroup);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      createInterface({ input: stream! }).on('line', (line) => {
        this.#lastLines = [...this.#lastLines.slice(1 - keptLines), line.slice(0, keptCharacters)];
        onLine(line);
      });
    }
    this.ended = new Promise((resolve) =>
      this.#child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown')),
    );
  }

  /**
   * Resolves when `condition` does.
   *
   * @throws OffhookError when that takes longer than `timeoutMs` or the program ends first
   */
  async until<T>(condition: Promise<T>, what: string, timeoutMs: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(this.failure(`not ${what} within ${timeoutMs} ms`)), timeoutMs);
    });
    const gone = this.ended.then((code) => {
      throw this.failure(`ended with ${code} before it was ${what}`);
    });
    try {
      return await Promise.race([condition, tooLate, gone]);
    } finally {
      clearTimeout(timer);
      gone.catch(() => {});
    }
  }

  /** An error about the program, with the last lines that it printed. */
  failure(what: string): OffhookError {
    const printed = this.#lastLines.length > 0 ? `; it printed:\n${this.#lastLines.join('\n')}` : '';
    return new OffhookError('OFFHOOK_CLOSED', `${this.#name}: ${what}${printed}`);
  }

  /** Ends the program and what it forked: SIGTERM, and SIGKILL to what is still there after `graceMs`. */
  async stop(graceMs = 1_000): Promise<void> {
    process.removeListener('exit', this.#killGroup);
    this.#child.kill('SIGTERM');
    const exited = new Promise<void>((resolve) => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) resolve();
      else this.#child.once('exit', () => resolve());
    });
    const timer = setTimeout(this.#killGroup, graceMs);
    await exited;
    clearTimeout(timer);
    this.#killGroup();
    await this.ended;
  }

  #killGroup = (): void => {
    try {
      process.kill(-this.#child.pid!, 'SIGKILL');
    } catch {
      // Nothing of the group is left.
    }
  };
}
