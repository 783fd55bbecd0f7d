import type * as Api from '@opentelemetry/api';
import type { FilterStatus } from '../../filters/index.js' with { 'resolution-mode': 'import' };
import type { Opened, TracedStep } from '../wire.js' with { 'resolution-mode': 'import' };

/** Where version 1 of OpenTelemetry's API keeps what programs register with it. */
const registry = Symbol.for('opentelemetry.js.api.1');

let loaded: typeof Api | 'out of reach' | undefined;

/** OpenTelemetry's API; undefined where packages are kept apart and the program's own is out of reach. */
function loadApi(): typeof Api | undefined {
  if (loaded === undefined) {
    try {
      loaded = require('@opentelemetry/api') as typeof Api;
    } catch {
      loaded = 'out of reach';
    }
  }
  return loaded === 'out of reach' ? undefined : loaded;
}

/** Brings what the engine's thread did to OpenTelemetry, which knows only what is registered in the program's thread. */
class Telemetry {
  #api = loadApi()!;
  #timeline = import('../../timeline/index.js');
  /** By `asyncId` of the connect: what was active when the program asked for it. */
  #parents = new Map<bigint, Api.Context>();

  /** Whether the program has registered anything with OpenTelemetry. Runs for every request. */
  static get isWanted(): boolean {
    return registry in globalThis && loadApi() !== undefined;
  }

  /** @param readStatuses is called when the program's meter reads */
  constructor(readStatuses: () => FilterStatus[]) {
    void import('../../filters/index.js').then(({ observeFilters }) => observeFilters(readStatuses));
  }

  /** To be told within the request that opens something. */
  opened({ owed }: Opened): void {
    if ('callback' in owed && owed.callback === 'connect') {
      this.#parents.set(owed.asyncId, this.#api.context.active());
    }
  }

  async step({ connect, startedAtMs, step }: TracedStep): Promise<void> {
    const parent = this.#parents.get(connect) ?? this.#api.ROOT_CONTEXT;
    const { traceStep } = await this.#timeline;
    traceStep(step, startedAtMs, parent);
  }

  over(connect: bigint): void {
    this.#parents.delete(connect);
  }
}

export = Telemetry;
