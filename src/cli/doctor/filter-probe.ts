import { FilterRegistry, type FilterStatus } from '../../filters/index.js';
import type { ProbeStep } from '../../signal/index.js';
import {
  describeDuration,
  describeError,
  OffhookError,
  resolveDeadlines,
  withDeadline,
} from '../../timeline/index.js';

export interface FilterProbeOptions {
  pluginPath: string;
  url: string;
  token: string;
}

const graceMs = 2_000;
const advice =
  'The call goes on without it. If it blocks, see what it waits for: most ask their maker over HTTPS for a licence.';

/** Loads a filter plugin in a process of its own and waits for its on_load, as long as connecting would. */
export async function probeFilter({ pluginPath, url, token }: FilterProbeOptions): Promise<ProbeStep> {
  const name = 'filter';
  const registry = new FilterRegistry();
  const startedMs = performance.now();
  const step = (finding: Omit<ProbeStep, 'name' | 'elapsedMs'>): ProbeStep => ({
    name,
    ...finding,
    elapsedMs: performance.now() - startedMs,
  });
  try {
    const settled = new Promise<FilterStatus>((resolve) => {
      registry.onStatus = (status) => {
        if (status.state !== 'loading') resolve(status);
      };
    });
    registry.load({ moduleId: pluginPath, pluginPath });
    registry.roomConnecting({ url, token });
    // The registry reports at its own deadline; ours keeps the process alive until then, and no longer.
    const timeoutMs = resolveDeadlines().filterLoad + graceMs;
    const deadline = { stage: 'filter-load', timeoutMs, what: `on_load of ${pluginPath}` } as const;
    const { state, reason, elapsedMs } = await withDeadline(deadline, () => settled);
    if (state === 'ready')
      return step({ outcome: 'ok', says: `on_load returned after ${describeDuration(elapsedMs)}` });
    return step({ outcome: 'failed', says: `${pluginPath}: ${reason}`, advice });
  } catch (error) {
    return step({
      outcome: 'failed',
      says: error instanceof OffhookError ? error.message : describeError(error),
      advice,
    });
  } finally {
    registry.close();
  }
}
