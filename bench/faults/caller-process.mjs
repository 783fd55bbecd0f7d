// One caller.mjs in a process of its own, on a host of a fault network and on the engine that is asked for.
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('caller.mjs', import.meta.url));
const register = fileURLToPath(new URL('../../dist/ffi/register.js', import.meta.url));

export class CallerProcess {
  /** What it printed as JSON: `{what, atMs, wallMs, …}`, `atMs` since it called connect. */
  events = [];
  /** What else it printed: log lines of the engine. */
  log = [];
  #child;
  #waiters = new Set();

  constructor(network, host, { engine, url, token, env = {} }) {
    const { NODE_OPTIONS, NAPI_RS_NATIVE_LIBRARY_PATH, ...inherited } = process.env;
    const args = [...(engine === 'offhook' ? ['--import', register] : []), script, url, token];
    this.#child = network.spawn(host, process.execPath, args, { env: { ...inherited, ...env } });
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#read(line));
    createInterface({ input: this.#child.stderr }).on('line', (line) => this.log.push(line));
    this.#child.stdin.on('error', () => {});
    this.#child.once('close', () => this.#add({ what: 'ended', wallMs: Date.now() }));
  }

  #read(line) {
    if (!line.startsWith('{"what"')) {
      this.log.push(line);
      return;
    }
    this.#add(JSON.parse(line));
  }

  #add(event) {
    this.events.push(event);
    for (const waiter of this.#waiters) {
      if (!waiter.matches(event)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(event);
    }
  }

  /** The first event, from now on or already there, that matches; undefined when none comes in time. */
  waitFor(matches, timeoutMs) {
    const known = this.events.find(matches);
    if (known) return Promise.resolve(known);
    return new Promise((resolve) => {
      const waiter = { matches, resolve };
      this.#waiters.add(waiter);
      setTimeout(() => {
        this.#waiters.delete(waiter);
        resolve(undefined);
      }, timeoutMs).unref();
    });
  }

  /** Whether it hears the other end now. */
  get hears() {
    return this.events.findLast(({ what }) => what === 'hears' || what === 'silence')?.what === 'hears';
  }

  async report() {
    const seen = this.events.length;
    this.#child.stdin.write('report\n');
    return this.waitFor((event) => event.what === 'report' && this.events.indexOf(event) >= seen, 5_000);
  }

  kill() {
    this.#child.kill('SIGKILL');
  }
}
