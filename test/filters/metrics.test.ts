import { metrics } from '@opentelemetry/api';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { expect, test } from 'vitest';
import { rnnoiseModuleId } from '../../src/filters/index.js';
import {
  afterTest,
  filtered,
  level,
  openRegistry,
  streamInfo,
  streamIs,
  untilStatus,
  url,
} from './harness.js';

/** Reads what is observed when it is asked to. */
class Reader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

test('OpenTelemetry reads frames, times and readiness of filters', async () => {
  const reader = new Reader();
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  afterTest(() => metrics.disable());

  const registry = openRegistry();
  registry.roomConnecting({ url, token: 'token' });
  const session = registry.create(rnnoiseModuleId, { sampleRate: 48_000, numChannels: 1, streamInfo });
  await untilStatus(registry, streamIs('ready'));
  await filtered(session, level(1000));

  const { resourceMetrics } = await reader.collect();
  const points = resourceMetrics.scopeMetrics
    .flatMap((scope) => scope.metrics)
    .flatMap(({ descriptor, dataPoints }) =>
      dataPoints.map(({ value, attributes }) => ({ name: descriptor.name, value, attributes })),
    );
  const filter = { 'offhook.filter': rnnoiseModuleId };
  const stream = { ...filter, 'offhook.track': 'TR_1' };
  const { processed } = session.status.frames;
  expect(points).toContainEqual({ name: 'offhook.filter.ready', value: 1, attributes: filter });
  expect(points).toContainEqual({
    name: 'offhook.filter.frames',
    value: processed,
    attributes: { ...stream, outcome: 'processed' },
  });
  expect(points.find(({ name }) => name === 'offhook.filter.frame_time')).toMatchObject({
    value: expect.any(Number),
    attributes: { ...stream, quantile: 0.5 },
  });
});
