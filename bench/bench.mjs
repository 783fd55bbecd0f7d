// What every measure works with: a server, programs on either engine, tokens, and a line of progress.
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Program } from '../test/support/program.mjs';
import { makeToken } from '../test/support/token.mjs';

/** The programs that are measured. */
export const clients = {
  node: fileURLToPath(new URL('programs/client.mjs', import.meta.url)),
  python: fileURLToPath(new URL('programs/client.py', import.meta.url)),
};

export const engines = ['native', 'offhook'];

export class Bench {
  #programs = new Set();
  #progress;
  #client;

  /**
   * @param {{ url: string, apiKey: string, apiSecret: string }} server
   * @param {(line: string) => void} progress shows how far a measure is
   * @param {string} client the program that is measured
   */
  constructor(server, progress, client = clients.node) {
    this.#client = client;
    this.server = server;
    this.#progress = progress;
  }

  /** Starts the measured program on `engine`. */
  async start(engine, env) {
    const program = new Program(this.#client, { engine, env });
    this.#programs.add(program);
    await program.waitFor('started', {}, 60_000);
    return program;
  }

  async stop(...programs) {
    for (const program of programs) this.#programs.delete(program);
    await Promise.all(programs.map((program) => program.stop()));
  }

  /** Ends whatever a measure that failed has left. */
  async clear() {
    await this.stop(...this.#programs);
  }

  newRoom() {
    return `bench-${randomUUID().slice(0, 8)}`;
  }

  /** The arguments of a command that joins `room` as `identity`. */
  async join(room, identity) {
    return { url: this.server.url, token: await makeToken(this.server, room, identity) };
  }

  progress(done, total, note) {
    this.#progress(`${done}/${total}${note ? `  ${note}` : ''}`);
  }
}

/**
 * Takes one value from each engine in turn, `pairs` times, changing which comes first, so that whatever else the
 * machine does falls on both alike.
 *
 * @returns {Promise<Record<string, number[]>>}
 */
export async function interleave(bench, pairs, takeValue) {
  const values = { native: [], offhook: [] };
  for (let pair = 0; pair < pairs; pair++) {
    for (const engine of pair % 2 === 0 ? engines : [...engines].reverse()) {
      values[engine].push(await takeValue(engine, pair));
    }
    bench.progress(
      pair + 1,
      pairs,
      engines.map((engine) => `${engine} ${values[engine].at(-1).toFixed(1)}`).join(', '),
    );
  }
  return values;
}
