import { resolveDeadlines, withDeadline } from '../../deadlines/index.js';
import { describeError, OffhookError } from '../../errors/index.js';
import { FilterRegistry, type FilterStatus } from '../../filters/index.js';
import type { ProbeStep } from '../../signal/index.js';
import { describeDuration } from '../../timeline/index.js';

export interface FilterProbeOptions {
  pluginPath: string;
  url: string;
  token: string;
}

const graceMs = 2_000;
/** What to do about a plugin that does not become ready, and about one that cannot be loaded. */
const advices = {
  notReady:
    'Calls go on without it. If it blocks, find out what it waits for: most plugins ask for a licence over HTTPS.',
  notThere: 'Check the path: a program that loads this filter gets this error.',
};

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
  const failed = (says: string, advice: string) =>
    step({ outcome: 'failed', code: 'OFFHOOK_FILTER', says, advice });
  const textOf = (error: unknown) => (error instanceof OffhookError ? error.summary : describeError(error));
  try {
    const settled = new Promise<FilterStatus>((resolve) => {
      registry.onStatus = (status) => {
        if (status.state !== 'loading') resolve(status);
      };
    });
    try {
      registry.load({ moduleId: pluginPath, pluginPath });
    } catch (error) {
      return failed(textOf(error), advices.notThere);
    }
    registry.roomConnecting({ url, token });
    // The registry reports at its own deadline; ours keeps the process alive until then, and no longer.
    const timeoutMs = resolveDeadlines().filterLoad + graceMs;
    const deadline = { stage: 'filter-load', timeoutMs, what: `on_load of ${pluginPath}` } as const;
    const { state, reason, elapsedMs } = await withDeadline(deadline, () => settled);
    if (state === 'ready')
      return step({ outcome: 'ok', says: `on_load returned after ${describeDuration(elapsedMs)}` });
    return failed(`${pluginPath}: ${reason}`, advices.notReady);
  } catch (error) {
    return failed(textOf(error), advices.notReady);
  } finally {
    registry.close();
  }
}
