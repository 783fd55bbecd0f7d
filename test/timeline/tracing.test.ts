import { context, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterEach, expect, test } from 'vitest';
import { Timeline, traceTimeline } from '../../src/timeline/index.js';

afterEach(() => trace.disable());

test('every step becomes a span of the tracer that the program registered', () => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  trace.setGlobalTracerProvider(provider);
  let nowMs = 0;
  const timeline = new Timeline('kitchen', () => nowMs);
  const stop = traceTimeline(timeline);
  const step = timeline.begin('tcp', { host: 'rooms.test:443', deadlineMs: 3000 });
  nowMs = 3000;
  step.end('deadline', 'too slow');
  stop();
  timeline.begin('tls').end('ok');

  const [span, ...others] = exporter.getFinishedSpans();
  expect(others).toEqual([]);
  expect(span!.name).toBe('offhook.tcp');
  expect(span!.attributes).toEqual({
    'offhook.stage': 'tcp',
    'offhook.outcome': 'deadline',
    'offhook.deadline_ms': 3000,
    'offhook.detail': 'too slow',
    'server.address': 'rooms.test:443',
  });
  expect(span!.status).toEqual({ code: SpanStatusCode.ERROR, message: 'too slow' });
  expect(span!.duration[0]).toBe(3);
});

test('the spans are children of the span that was active', () => {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  trace.setGlobalTracerProvider(provider);
  const parent = provider.getTracer('program').startSpan('call');
  const timeline = new Timeline('kitchen');
  traceTimeline(timeline, trace.setSpan(context.active(), parent));
  timeline.begin('dns').end('ok');
  expect(exporter.getFinishedSpans()[0]!.parentSpanContext?.spanId).toBe(parent.spanContext().spanId);
});

test('without a tracer nothing happens', () => {
  const timeline = new Timeline('kitchen');
  traceTimeline(timeline);
  timeline.begin('dns').end('ok');
});
