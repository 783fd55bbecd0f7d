import { createLogger, defaultDeadlinesMs, OffhookError } from '../timeline/index.js';
import { type ConnectingRoom, FilterModule } from './filter-module.js';
import type { FilterSession, FilterSessionOptions } from './filter-session.js';
import type { FilterStatus } from './filter-status.js';
import { NativeHost } from './native-host.js';
import { checkSharedLibrary } from './shared-library.js';

export interface FilterRegistryOptions {
  /** Default 5,000. */
  loadDeadlineMs?: number;
  /** Where the compiled script of the native host lies; default: in this package. */
  nativeHostEntry?: URL;
}

export interface NativeFilter {
  /** The name by which streams ask for it. */
  moduleId: string;
  pluginPath: string;
  /** Libraries loaded before it, in order. */
  dependencies?: readonly string[];
}

const log = createLogger('filters');

/** The filters of one engine, by module id. Nothing here blocks, whatever a filter does. */
export class FilterRegistry {
  /** Called with a filter's status whenever its state, or that of one of its streams, changes. */
  onStatus: (status: FilterStatus) => void = () => {};
  #options: Required<FilterRegistryOptions>;
  #modules = new Map<string, FilterModule>();
  #rooms: ConnectingRoom[] = [];

  constructor(options: FilterRegistryOptions = {}) {
    this.#options = {
      loadDeadlineMs: options.loadDeadlineMs ?? defaultDeadlinesMs.filterLoad,
      nativeHostEntry: options.nativeHostEntry ?? new URL('./host/main.js', import.meta.url),
    };
  }

  /**
   * Makes a native plugin known and starts the process that holds it; its on_load runs for every room that is open and
   * for each that connects. The same module id and path again is ignored; another path replaces the filter.
   * @throws OffhookError `OFFHOOK_FILTER` when a path is not that of a shared library
   */
  loadNative({ moduleId, pluginPath, dependencies = [] }: NativeFilter): void {
    for (const dependency of dependencies) checkSharedLibrary(dependency, 'dependency');
    checkSharedLibrary(pluginPath, 'plugin');
    const { nativeHostEntry: hostEntry } = this.#options;
    this.#add(moduleId, (events) => new NativeHost({ pluginPath, dependencies, hostEntry }, events));
  }

  /** Begins to load every filter for a room, beside its connecting. Returns at once. */
  roomConnecting(room: ConnectingRoom): void {
    this.#rooms.push(room);
    for (const filter of this.#modules.values()) filter.roomConnecting(room);
  }

  roomClosed(url: string): void {
    const index = this.#rooms.findIndex((room) => room.url === url);
    if (index < 0) return;
    this.#rooms.splice(index, 1);
    for (const filter of this.#modules.values()) filter.roomClosed(url);
  }

  updateToken(url: string, token: string): void {
    for (const filter of this.#modules.values()) filter.updateToken(url, token);
  }

  has(moduleId: string): boolean {
    return this.#modules.has(moduleId);
  }

  /**
   * A session of the filter for one stream. Until the filter is ready, and whenever it is not, frames pass.
   * @throws OffhookError `OFFHOOK_FILTER` when no filter has the module id
   */
  create(moduleId: string, options: FilterSessionOptions): FilterSession {
    const filter = this.#modules.get(moduleId);
    if (!filter) {
      const known = [...this.#modules.keys()].join(', ') || 'none';
      throw new OffhookError(
        'OFFHOOK_FILTER',
        `no audio filter has the module id ${moduleId} (known: ${known})`,
      );
    }
    return filter.createSession(options);
  }

  statuses(): FilterStatus[] {
    return [...this.#modules.values()].map((filter) => filter.status);
  }

  /** Ends every filter and its host. */
  close(): void {
    for (const filter of this.#modules.values()) filter.close();
    this.#modules.clear();
    this.#rooms = [];
  }

  #add(moduleId: string, startHost: ConstructorParameters<typeof FilterModule>[0]['startHost']): void {
    const previous = this.#modules.get(moduleId);
    if (previous) {
      log.info(`load: ${moduleId} is replaced`);
      previous.close();
    }
    const filter = new FilterModule({
      moduleId,
      startHost,
      loadDeadlineMs: this.#options.loadDeadlineMs,
      onStatus: (status) => this.onStatus(status),
    });
    this.#modules.set(moduleId, filter);
    for (const room of this.#rooms) filter.roomConnecting(room);
  }
}
