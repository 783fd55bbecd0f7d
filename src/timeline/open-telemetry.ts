import { createRequire } from 'node:module';
import type * as Api from '@opentelemetry/api';

const require = createRequire(import.meta.url);
/** Where version 1 of the API keeps what programs register with it. */
const registry = Symbol.for('opentelemetry.js.api.1');

/**
 * OpenTelemetry's API, once the program has registered something with it in this thread; undefined before. Loading it
 * takes 6 MB, which a program without it need not pay.
 */
export function openTelemetry(): typeof Api | undefined {
  if (!(registry in globalThis)) return undefined;
  try {
    return require('@opentelemetry/api') as typeof Api;
  } catch {
    // Where packages are kept apart, the program's own may be out of reach: it then gets no spans.
    return undefined;
  }
}
