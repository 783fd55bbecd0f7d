import { readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';

/** A call that never returns keeps its thread; rooms that come and go must not pile them up. */
const maxCalls = 8;
/** A call that has waited this long for others to return gets a thread of its own. */
const patienceMs = 1_000;
/** An on_load that has used this much of a processor loses its thread's priority. */
const cpuLimitMs = 40;
/** It is looked at after this long, and then ever more seldom. */
const firstCheckMs = 20;
const lastCheckMs = 10_000;

interface Call {
  options: string;
  resolve(code: number): void;
  reject(error: Error): void;
}

interface Thread {
  worker: Worker;
  call: Call | undefined;
  /** The operating system's id of the thread, as soon as it is known (Linux only). */
  threadId: number | undefined;
  /** Its priority was taken, and is never given back: that takes a privilege. */
  yielded: boolean;
}

/** What a thread says: once who it is, and what each call returned. */
export type OnLoadMessage = { threadId: number } | { code: number };

export interface LoadedPlugin {
  pluginPath: string;
  dependencies: readonly string[];
}

/**
 * The threads that call on_load, which may block for ever. The first is started beforehand, and further ones only for
 * calls that wait: starting one costs what the room that connects needs then.
 */
export class OnLoadThreads {
  #plugin: LoadedPlugin;
  #threads = new Set<Thread>();
  #calls: Call[] = [];
  #patience: NodeJS.Timeout | undefined;

  constructor(plugin: LoadedPlugin) {
    this.#plugin = plugin;
    this.#start();
  }

  /** Settles with what on_load returns, or with why it was not called; perhaps never. */
  call(options: string): Promise<number> {
    const underWay = [...this.#threads].filter(({ call }) => call).length;
    if (underWay + this.#calls.length >= maxCalls) {
      return Promise.reject(new Error(`${maxCalls} calls of on_load have not returned yet`));
    }
    return new Promise((resolve, reject) => {
      this.#calls.push({ options, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    for (const thread of this.#threads) {
      const call = thread.call || thread.yielded ? undefined : this.#calls.shift();
      if (call) this.#run(thread, call);
    }
    if (this.#calls.length === 0) {
      clearTimeout(this.#patience);
      this.#patience = undefined;
      return;
    }
    const waitMs = this.#threads.size === 0 ? 0 : patienceMs;
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      this.#start();
      this.#next();
    }, waitMs);
  }

  #start(): void {
    const worker = new Worker(new URL('./on-load.js', import.meta.url), { workerData: this.#plugin });
    const thread: Thread = { worker, call: undefined, threadId: undefined, yielded: false };
    this.#threads.add(thread);
    worker.on('message', (message: OnLoadMessage) => {
      if ('threadId' in message) thread.threadId = message.threadId;
      else this.#onReturn(thread, message.code);
    });
    worker.on('error', (error) => thread.call?.reject(error));
    worker.on('exit', () => {
      this.#threads.delete(thread);
      this.#next();
    });
  }

  #run(thread: Thread, call: Call): void {
    thread.call = call;
    thread.worker.postMessage(call.options);
    let usedBeforeMs = cpuMsOf(thread);
    const checkAfter = (delayMs: number) => {
      setTimeout(() => {
        if (thread.call !== call) return;
        // Starting the thread is not the plugin's doing.
        usedBeforeMs ??= cpuMsOf(thread);
        if ((cpuMsOf(thread) ?? 0) - (usedBeforeMs ?? 0) < cpuLimitMs)
          checkAfter(Math.min(2 * delayMs, lastCheckMs));
        else yieldToOthers(thread);
      }, delayMs);
    };
    checkAfter(firstCheckMs);
  }

  #onReturn(thread: Thread, code: number): void {
    thread.call?.resolve(code);
    thread.call = undefined;
    if (thread.yielded) void thread.worker.terminate();
    else this.#next();
  }
}

/** One that spins may have what nobody else wants of the machine. */
function yieldToOthers(thread: Thread): void {
  try {
    setPriority(thread.threadId!, constants.priority.PRIORITY_LOW);
    thread.yielded = true;
  } catch {
    // It has returned meanwhile.
  }
}

/** What a thread has used of a processor; undefined when that is not known. */
function cpuMsOf({ threadId }: Thread): number | undefined {
  if (threadId === undefined) return undefined;
  try {
    return Number(readFileSync(`/proc/self/task/${threadId}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return undefined;
  }
}
