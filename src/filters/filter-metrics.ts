import type { Attributes } from '@opentelemetry/api';
import { openTelemetry } from '../timeline/index.js';
import type { FilterStatus } from './filter-status.js';

/**
 * Lets OpenTelemetry's meter, if the program registered one, read the filters: frames by what became of them, the time
 * a frame takes, and whether each filter is ready. Without a meter it costs nothing.
 */
export function observeFilters(statuses: () => FilterStatus[]): () => void {
  const meter = openTelemetry()?.metrics.getMeter('offhook');
  if (!meter) return () => {};
  const frames = meter.createObservableCounter('offhook.filter.frames', {
    description: 'Frames of 10 ms, by what became of them: processed, late, bypassed or failed',
  });
  const frameTime = meter.createObservableGauge('offhook.filter.frame_time', {
    description: "Time from a frame's leaving for the filter to its return, by quantile",
    unit: 'ms',
  });
  const ready = meter.createObservableGauge('offhook.filter.ready', {
    description: '1 when the filter is ready, 0 when it is loading or unavailable',
  });
  const observables = [frames, frameTime, ready];
  const read: Parameters<typeof meter.addBatchObservableCallback>[0] = (result) => {
    for (const { moduleId, state, streams } of statuses()) {
      const filter: Attributes = { 'offhook.filter': moduleId };
      result.observe(ready, state === 'ready' ? 1 : 0, filter);
      for (const { trackId, frames: counts } of streams) {
        const stream = { ...filter, 'offhook.track': trackId };
        const { processed, late, bypassed, failed, p50Ms, p99Ms } = counts;
        for (const [outcome, count] of Object.entries({ processed, late, bypassed, failed })) {
          result.observe(frames, count, { ...stream, outcome });
        }
        if (p50Ms !== undefined) result.observe(frameTime, p50Ms, { ...stream, quantile: 0.5 });
        if (p99Ms !== undefined) result.observe(frameTime, p99Ms, { ...stream, quantile: 0.99 });
      }
    }
  };
  meter.addBatchObservableCallback(read, observables);
  return () => meter.removeBatchObservableCallback(read, observables);
}
