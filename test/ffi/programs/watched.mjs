// Connects to a room within a span of its own, beside a filter plugin, and prints what OpenTelemetry saw.
// Arguments: url, token, path of the plugin.
import { setTimeout as delay } from 'node:timers/promises';
import { context, metrics, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';

const spans = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });
trace.setGlobalTracerProvider(provider);
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
const reader = new PeriodicExportingMetricReader({ exporter: metricExporter });
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));

const [url, token, plugin] = process.argv.slice(2);
const { AudioFilter, Room } = await import('@livekit/rtc-node');
new AudioFilter('test-filter', plugin);
const room = new Room();
const call = provider.getTracer('program').startSpan('call');
await context.with(trace.setSpan(context.active(), call), () => room.connect(url, token));

const metricNames = () =>
  metricExporter
    .getMetrics()
    .flatMap(({ scopeMetrics }) => scopeMetrics)
    .flatMap((scope) => scope.metrics.map(({ descriptor }) => descriptor.name));
const isSeen = () =>
  spans.getFinishedSpans().some(({ name }) => name === 'offhook.filter-load') && metricNames().length > 0;
// What the engine's thread did arrives in its own time.
while (!isSeen()) {
  await delay(20);
  await reader.forceFlush();
}
await room.disconnect();
const { spanId } = call.spanContext();
const seen = spans.getFinishedSpans().map(({ name, parentSpanContext }) => ({
  name,
  isChild: parentSpanContext?.spanId === spanId,
}));
console.log(JSON.stringify({ event: 'seen', atMs: Date.now(), spans: seen, metricNames: metricNames() }));
