import { Worker } from 'node:worker_threads';
import { OffhookError } from '../timeline/index.js';
import type { FilterHost, FilterHostEvents, FilterStreamOptions } from './filter-host.js';
import { hostEnvironment } from './host-environment.js';
import type { Samples } from './samples.js';
import type { ScriptReply, ScriptRequest } from './script-messages.js';

export interface ScriptHostOptions {
  /** The module whose default export is an AudioFilterDefinition. */
  moduleUrl: URL;
  /** Where the worker's compiled script lies. */
  hostEntry: URL;
}

interface Waiting {
  resolve(): void;
  reject(error: OffhookError): void;
}

/** A filter's module may not eat the memory of the program. */
const maxHeapMb = 256;
/** After its first load began, a worker has this long until it is asked whether it is alive, and this long to answer. */
const watchAfterMs = 3_000;
const patienceMs = 2_000;

const filterError = (message: string) => new OffhookError('OFFHOOK_FILTER', message);

/** A worker thread that runs one filter written in JavaScript or WebAssembly. */
export class ScriptHost implements FilterHost {
  #worker: Worker;
  #events: FilterHostEvents;
  #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #watch: NodeJS.Timeout | undefined;
  #ended = false;

  constructor({ moduleUrl, hostEntry }: ScriptHostOptions, events: FilterHostEvents) {
    this.#events = events;
    this.#worker = new Worker(hostEntry, {
      workerData: { moduleUrl: moduleUrl.href },
      env: hostEnvironment(process.env),
      // The program's own loaders and imports have no place beside a filter.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
    });
    this.#worker.on('message', (reply: ScriptReply) => this.#onReply(reply));
    this.#worker.on('error', (error) => this.#end(`its worker failed: ${error.message}`, false));
    this.#worker.on('exit', (code) => this.#end(`its worker exited with code ${code}`, false));
    this.#worker.unref();
  }

  load(url: string, token: string): Promise<void> {
    this.#watch ??= setTimeout(() => this.#endIfStuck(), watchAfterMs).unref();
    return this.#request((id) => ({ op: 'load', id, url, token }));
  }

  updateToken(url: string, token: string): void {
    this.#send({ op: 'updateToken', url, token });
  }

  createStream(slot: number, stream: FilterStreamOptions): Promise<void> {
    return this.#request((id) => ({ op: 'create', id, slot, stream }));
  }

  process(slot: number, sequence: number, frame: Samples, outputLength: number): void {
    const samples = frame.slice();
    this.#send({ op: 'process', slot, sequence, samples, outputLength }, [samples.buffer as ArrayBuffer]);
  }

  updateStreamInfo(slot: number, streamInfoJson: string): void {
    this.#send({ op: 'streamInfo', slot, streamInfoJson });
  }

  destroyStream(slot: number): void {
    this.#send({ op: 'destroy', slot });
  }

  close(): void {
    this.#release('its worker was closed');
  }

  /** A module that waits for something answers; one that spins does not, and would take a core until the program ends. */
  #endIfStuck(): void {
    const verdict = setTimeout(
      () => this.#end(`its worker has answered nothing for ${patienceMs} ms`, false),
      patienceMs,
    ).unref();
    this.#request((id) => ({ op: 'ping', id })).then(
      () => clearTimeout(verdict),
      () => clearTimeout(verdict),
    );
  }

  #request(build: (id: number) => ScriptRequest): Promise<void> {
    if (this.#ended) return Promise.reject(filterError('its worker has ended'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send(build(id));
    });
  }

  #send(request: ScriptRequest, transfer: ArrayBuffer[] = []): void {
    if (!this.#ended) this.#worker.postMessage(request, transfer);
  }

  #onReply(reply: ScriptReply): void {
    if (this.#ended) return;
    switch (reply.event) {
      case 'done': {
        const waiting = this.#waiting.get(reply.id);
        this.#waiting.delete(reply.id);
        if (reply.error === undefined) waiting?.resolve();
        else waiting?.reject(filterError(reply.error));
        break;
      }
      case 'opened':
        this.#events.onOpened({ separateRates: false, sampleRate: reply.sampleRate });
        break;
      case 'frame':
        this.#events.onFrame(reply.slot, reply.sequence, reply.samples);
        break;
      case 'frameFailed':
        this.#events.onFrameFailed(reply.slot, reply.sequence, reply.reason);
        break;
      case 'refused':
        this.#end(reply.reason, true);
    }
  }

  #end(reason: string, final: boolean): void {
    if (this.#ended) return;
    this.#release(reason);
    this.#events.onEnd(reason, final);
  }

  #release(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#watch);
    void this.#worker.terminate();
    for (const waiting of this.#waiting.values()) waiting.reject(filterError(reason));
    this.#waiting.clear();
  }
}
