import { Worker } from 'node:worker_threads';
import { outsideText } from '../errors/index.js';
import { limits } from '../limits.js';
import { AnsweringHost } from './answering-host.js';
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

/** A filter's module may not eat the memory of the program. */
/** After its first load began, a worker has this long until it is asked whether it is alive, and this long to answer. */
const watchAfterMs = 3_000;
const patienceMs = 2_000;

/** A worker thread that runs one filter written in JavaScript or WebAssembly. */
export class ScriptHost extends AnsweringHost<void> implements FilterHost {
  #worker: Worker;
  #watch: NodeJS.Timeout | undefined;

  constructor({ moduleUrl, hostEntry }: ScriptHostOptions, events: FilterHostEvents) {
    super(events);
    this.#worker = new Worker(hostEntry, {
      workerData: { moduleUrl: moduleUrl.href },
      env: hostEnvironment(process.env),
      // The program's own loaders and imports have no place beside a filter.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: limits.scriptFilterHeap.value / 2 ** 20 },
    });
    this.#worker.on('message', (reply: ScriptReply) => this.#onReply(reply));
    this.#worker.on('error', (error) => this.end(`its worker failed: ${error.message}`, false));
    this.#worker.on('exit', (code) => this.end(`its worker exited with code ${code}`, false));
    this.#worker.unref();
  }

  load(url: string, token: string): Promise<void> {
    this.#watch ??= setTimeout(() => this.#endIfStuck(), watchAfterMs).unref();
    return this.#ask((id) => ({ op: 'load', id, url, token }));
  }

  updateToken(url: string, token: string): void {
    this.#send({ op: 'updateToken', url, token });
  }

  createStream(slot: number, stream: FilterStreamOptions): Promise<void> {
    return this.#ask((id) => ({ op: 'create', id, slot, stream }));
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

  protected stop(): void {
    clearTimeout(this.#watch);
    void this.#worker.terminate();
  }

  /** A module that waits for something answers; one that spins does not, and would take a core until the program ends. */
  #endIfStuck(): void {
    const verdict = setTimeout(
      () => this.end(`its worker has answered nothing for ${patienceMs} ms`, false),
      patienceMs,
    ).unref();
    this.#ask((id) => ({ op: 'ping', id })).then(
      () => clearTimeout(verdict),
      () => clearTimeout(verdict),
    );
  }

  #ask(build: (id: number) => ScriptRequest): Promise<void> {
    return this.request((id) => this.#send(build(id)));
  }

  #send(request: ScriptRequest, transfer: ArrayBuffer[] = []): void {
    if (!this.ended) this.#worker.postMessage(request, transfer);
  }

  #onReply(reply: ScriptReply): void {
    if (this.ended) return;
    switch (reply.event) {
      case 'done':
        this.answer(reply.id, undefined, reply.error);
        break;
      case 'opened':
        this.events.onOpened({ separateRates: false, sampleRate: reply.sampleRate });
        break;
      case 'frame':
        this.events.onFrame(reply.slot, reply.sequence, reply.samples);
        break;
      case 'frameFailed':
        this.events.onFrameFailed(reply.slot, reply.sequence, outsideText(reply.reason));
        break;
      case 'refused':
        this.end(reply.reason, true);
    }
  }
}
