import type * as Api from '@opentelemetry/api';
import type { FilterStatus } from '../../filters/index.js' with { 'resolution-mode': 'import' };
import type { Opened, TracedStep } from '../wire.js' with { 'resolution-mode': 'import' };

/** Where version 1 of OpenTelemetry's API keeps what programs register with it. */
const registry = Symbol.for('opentelemetry.js.api.1');

/** Brings what the engine's thread did to OpenTelemetry, which knows only what is registered in the program's thread. */
class Telemetry {
  #api: typeof Api = require('@opentelemetry/api');
  #timeline = import('../../timeline/index.js');
  /** By `asyncId` of the connect: what was active when the program asked for it. */
  #parents = new Map<bigint, Api.Context>();

  /** Whether the program has registered anything with OpenTelemetry. */
  static get isWanted(): boolean {
    return registry in globalThis;
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
