import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ServerOptions } from '../../src/server/index.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Memory {
  rss: number;
  /** What JavaScript and its buffers use, after a garbage collection. */
  usedBytes: number;
}

/** The built room server in a process of its own: what attacks it does not share its thread, its memory or its end. */
export class ServerProcess {
  readonly url: string;
  readonly rtcPort: number;
  /** The last lines that it logged. */
  readonly logged: string[];
  #child: ChildProcess;
  #lines: Interface;

  private constructor(
    child: ChildProcess,
    lines: Interface,
    { url, rtcPort }: { url: string; rtcPort: number },
  ) {
    this.url = url;
    this.rtcPort = rtcPort;
    this.#child = child;
    this.#lines = lines;
    this.logged = [];
    createInterface({ input: child.stderr! }).on('line', (line) => {
      this.logged.push(line);
      if (this.logged.length > 50) this.logged.shift();
    });
  }

  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const built = spawnSync(process.execPath, [`${root}/scripts/build.mjs`], { cwd: root, encoding: 'utf8' });
    if (built.status !== 0) throw new Error(`the build failed: ${built.stdout}${built.stderr}`);
    const script = fileURLToPath(new URL('room-server.mjs', import.meta.url));
    const child = spawn(process.execPath, ['--expose-gc', script, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const lines = createInterface({ input: child.stdout! });
    return new ServerProcess(child, lines, JSON.parse(await nextLine(child, lines)));
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get threads(): number {
    return readdirSync(`/proc/${this.#child.pid}/task`).length;
  }

  async memory(): Promise<Memory> {
    this.#child.stdin!.write('\n');
    return JSON.parse(await nextLine(this.#child, this.#lines));
  }

  async stop(): Promise<void> {
    if (!this.isRunning) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.stdin!.end();
    const giveUp = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(giveUp);
  }
}

function nextLine(child: ChildProcess, lines: Interface): Promise<string> {
  return new Promise((resolve, reject) => {
    const end = (code: number | null) => reject(new Error(`the room server has ended (${code})`));
    child.once('exit', end);
    lines.once('line', (line) => {
      child.off('exit', end);
      resolve(line);
    });
  });
}
