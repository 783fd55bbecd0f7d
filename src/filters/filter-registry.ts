import { existsSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { defaultDeadlinesMs } from '../deadlines/index.js';
import { describeError, OffhookError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import type { StartFilterHost } from './filter-host.js';
import type { ConnectingRoom } from './filter-load.js';
import { observeFilters } from './filter-metrics.js';
import { FilterModule } from './filter-module.js';
import { FilterSession, type FilterSessionOptions } from './filter-session.js';
import type { FilterStatus } from './filter-status.js';
import { NativeHost } from './native-host.js';
import { ScriptHost } from './script-host.js';
import { checkNativeCalls, checkSharedLibrary } from './shared-library.js';

export interface FilterRegistryOptions {
  /** Default 5,000; a room's own deadline goes before it. */
  loadDeadlineMs?: number;
  /** Where the compiled code of this folder lies, for the hosts; default: here. */
  compiledCode?: URL;
}

export interface NativeFilter {
  /** The name by which streams ask for it. */
  moduleId: string;
  pluginPath: string;
  /** Libraries loaded before it, in order. */
  dependencies?: readonly string[];
  /** Variables of the program for the plugin's process, where the program is not this process. */
  environment?: Readonly<Record<string, string>>;
}

export interface ScriptFilter {
  /** The name by which streams ask for it. */
  moduleId: string;
  /** A module of JavaScript whose default export is an AudioFilterDefinition. */
  modulePath: string | URL;
}

/** Module id of the noise suppression that comes with the engine. */
export const rnnoiseModuleId = 'offhook/rnnoise';

const log = createLogger('filters');

/** The filters of one engine, by module id. Nothing here blocks, whatever a filter does. */
export class FilterRegistry {
  /** Called with a filter's status whenever its state, or that of one of its streams, changes. */
  onStatus: (status: FilterStatus) => void = () => {};
  #loadDeadlineMs: number | undefined;
  #compiledCode: URL;
  #stopObserving: (() => void) | undefined;
  #modules = new Map<string, FilterModule>();
  /** Open rooms by URL, with how many there are. */
  #rooms = new Map<string, ConnectingRoom & { count: number }>();

  constructor(options: FilterRegistryOptions = {}) {
    this.#loadDeadlineMs = options.loadDeadlineMs;
    this.#compiledCode = options.compiledCode ?? new URL('./', import.meta.url);
  }

  /**
   * Makes a filter known by the path of its code: a module of JavaScript (.js, .mjs, .cjs) or else a native plugin.
   * @throws OffhookError `OFFHOOK_FILTER` when there is no such code at the path
   */
  load(filter: NativeFilter): void {
    const { moduleId, pluginPath } = filter;
    if (/\.[cm]?js$/.test(pluginPath)) this.loadScript({ moduleId, modulePath: pluginPath });
    else this.loadNative(filter);
  }

  /**
   * Makes a native plugin known and starts the process that holds it; its on_load runs for every room that is open and
   * for each that connects. The same module id and path again is ignored; another path replaces the filter.
   * @throws OffhookError `OFFHOOK_FILTER` when a path is not that of a shared library, or koffi is not installed
   */
  loadNative({ moduleId, pluginPath, dependencies = [], environment }: NativeFilter): void {
    for (const dependency of dependencies) checkSharedLibrary(dependency, 'dependency');
    checkSharedLibrary(pluginPath, 'plugin');
    checkNativeCalls();
    const hostEntry = new URL('host/main.js', this.#compiledCode);
    this.#add(
      moduleId,
      (events) => new NativeHost({ pluginPath, dependencies, environment, hostEntry }, events),
    );
  }

  /**
   * Makes a filter in JavaScript or WebAssembly known and starts the worker thread that runs it.
   * @throws OffhookError `OFFHOOK_FILTER` when the module does not exist
   */
  loadScript({ moduleId, modulePath }: ScriptFilter): void {
    this.#addScript(moduleId, modulePath);
  }

  #addScript(moduleId: string, modulePath: string | URL, sampleRate?: number): void {
    const moduleUrl = typeof modulePath === 'string' ? pathToFileURL(modulePath) : modulePath;
    if (moduleUrl.protocol === 'file:' && !existsSync(moduleUrl)) {
      throw new OffhookError('OFFHOOK_FILTER', `filter module ${fileURLToPath(moduleUrl)} does not exist`, {
        stage: 'filter-load',
      });
    }
    const hostEntry = new URL('host/script.js', this.#compiledCode);
    this.#add(moduleId, (events) => new ScriptHost({ moduleUrl, hostEntry }, events), sampleRate);
  }

  /** Begins to load every filter for a room, beside its connecting. Returns at once. */
  roomConnecting(room: ConnectingRoom): void {
    // Not sooner: the program registers its meter while it starts.
    this.#stopObserving ??= observeFilters(() => this.statuses());
    const count = (this.#rooms.get(room.url)?.count ?? 0) + 1;
    this.#rooms.set(room.url, { ...room, count });
    for (const filter of this.#modules.values()) filter.roomConnecting(room);
  }

  roomClosed(url: string): void {
    const room = this.#rooms.get(url);
    if (!room) return;
    room.count--;
    if (room.count === 0) this.#rooms.delete(url);
    for (const filter of this.#modules.values()) filter.roomClosed(url);
  }

  updateToken(url: string, token: string): void {
    const room = this.#rooms.get(url);
    if (room) room.token = token;
    for (const filter of this.#modules.values()) filter.updateToken(url, token);
  }

  /**
   * A session of the filter for one stream. Until the filter is ready, and whenever it is not, frames pass; a filter
   * that nobody loaded is never ready.
   */
  create(moduleId: string, options: FilterSessionOptions): FilterSession {
    if (moduleId === rnnoiseModuleId && !this.#modules.has(moduleId)) this.#loadRnnoise();
    return this.#modules.get(moduleId)?.createSession(options) ?? this.#missing(moduleId, options);
  }

  statuses(): FilterStatus[] {
    return [...this.#modules.values()].map((filter) => filter.status);
  }

  /** Ends every filter and its host. */
  close(): void {
    this.#stopObserving?.();
    this.#stopObserving = undefined;
    for (const filter of this.#modules.values()) filter.close();
    this.#modules.clear();
    this.#rooms.clear();
  }

  #tell(status: FilterStatus): void {
    try {
      this.onStatus(status);
    } catch (error) {
      log.error(`onStatus failed: ${describeError(error)}`);
    }
  }

  /** Loaded when it is first asked for: its worker costs a program that does not use it nothing. */
  #loadRnnoise(): void {
    const modulePath = new URL('rnnoise.js', this.#compiledCode);
    // Known beforehand: the stream that asks for it begins before its worker has told.
    this.#addScript(rnnoiseModuleId, modulePath, 48_000);
  }

  #missing(moduleId: string, options: FilterSessionOptions): FilterSession {
    const known = [...this.#modules.keys(), rnnoiseModuleId].join(', ');
    const reason = `no audio filter has the module id ${moduleId} (known: ${known})`;
    log
      .about(options.subject ?? {})
      .error(`${reason}; audio passes unfiltered (track ${options.streamInfo.trackId})`);
    const rates = { inputRate: options.sampleRate, outputRate: options.sampleRate };
    const session = new FilterSession(options, rates, {
      onInfo: () => {},
      onFirstFailure: () => {},
      onTakenOut: () => {},
      onClose: () => {},
    });
    session.detach('unavailable', reason);
    return session;
  }

  #add(moduleId: string, startHost: StartFilterHost, sampleRate?: number): void {
    const previous = this.#modules.get(moduleId);
    if (previous) {
      log.info(`filter ${moduleId} is loaded again: the new one replaces it`);
      previous.close();
    }
    const filter = new FilterModule({
      moduleId,
      startHost,
      sampleRate,
      loadDeadlineMs: this.#loadDeadlineMs ?? defaultDeadlinesMs.filterLoad,
      onStatus: (status) => this.#tell(status),
    });
    this.#modules.set(moduleId, filter);
    for (const room of this.#rooms.values()) {
      for (let i = 0; i < room.count; i++) filter.roomConnecting(room);
    }
  }
}
