// The thread that processes frames: reads its socket with blocking calls, which costs half of what an event loop does
// (docs/decisions/filter-transport.md), and answers a batch of frames with one write.
import { readSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import {
  bytesOf,
  encodeMessage,
  type FrameMessage,
  MessageReader,
  messageTypes,
  type SampleFormat,
  type Samples,
  samplesOf,
} from '../frame-protocol.js';
import { PluginLibrary } from './library.js';

const socket = 4;
/** Samples on either side of the output that no plugin may touch. */
const guardSamples = 256;
const guardValue = 0x5aa5;
/** A batch is answered early once its first frame has waited for this long. */
const flushAfterMs = 1;

const { pluginPath, dependencies, streams } = workerData as {
  pluginPath: string;
  dependencies: string[];
  streams: BigUint64Array;
};
const library = new PluginLibrary(pluginPath, dependencies);
const processV2 = {
  int16: library.find('audio_filter_process_int16_v2'),
  float: library.find('audio_filter_process_float_v2'),
};
const processV1 = {
  int16: library.get('audio_filter_process_int16'),
  float: library.get('audio_filter_process_float'),
};

/** The plugin wrote where it must not: memory of this process can no longer be trusted. */
class OverrunError extends Error {}

function allocate(format: SampleFormat, length: number): Samples {
  return format === 'float' ? new Float32Array(length) : new Int16Array(length);
}

function filter(address: bigint, format: SampleFormat, input: Samples, outputLength: number): Samples {
  const guarded = allocate(format, outputLength + 2 * guardSamples);
  guarded.fill(guardValue, 0, guardSamples).fill(guardValue, guardSamples + outputLength);
  const output = guarded.subarray(guardSamples, guardSamples + outputLength);
  const v2 = processV2[format];
  if (v2) v2(address, input.length, input, outputLength, output);
  else processV1[format](address, input.length, input, output);
  const before = guarded.subarray(0, guardSamples);
  const after = guarded.subarray(guardSamples + outputLength);
  if (![before, after].every((guard) => guard.every((value) => value === guardValue))) {
    throw new OverrunError('the plugin wrote outside of its output buffer');
  }
  if (format === 'float' && !output.every((value) => Number.isFinite(value))) {
    throw new Error('the plugin returned samples that are not numbers');
  }
  return output;
}

function answer(request: FrameMessage, part: Pick<FrameMessage, 'type' | 'value' | 'payload'>): Buffer {
  const { format, stream, sequence } = request;
  return encodeMessage({ format, stream, sequence, ...part });
}

function failure(request: FrameMessage, error: unknown): Buffer {
  const text = error instanceof Error ? error.message : String(error);
  const value = error instanceof OverrunError ? 1 : 0;
  return answer(request, { type: messageTypes.failed, value, payload: Buffer.from(text, 'utf8') });
}

function handle(request: FrameMessage): Buffer | undefined {
  const address = request.stream < streams.length ? Atomics.load(streams, request.stream) : 0n;
  if (address === 0n) return failure(request, `no stream ${request.stream}`);
  switch (request.type) {
    case messageTypes.process: {
      const startedMs = performance.now();
      const input = samplesOf(request.payload, request.format);
      const output = filter(address, request.format, input, request.value);
      const value = Math.round((performance.now() - startedMs) * 1000);
      return answer(request, { type: messageTypes.processed, value, payload: bytesOf(output) });
    }
    case messageTypes.streamInfo:
      library.get('audio_filter_update_stream_info')(address, Buffer.from(request.payload).toString('utf8'));
      return undefined;
    case messageTypes.destroy:
      Atomics.store(streams, request.stream, 0n);
      library.get('audio_filter_destroy')(address);
      return undefined;
    default:
      return failure(request, `unexpected message type ${request.type}`);
  }
}

let answers: Buffer[] = [];
function flush(): void {
  const bytes = Buffer.concat(answers);
  answers = [];
  for (let at = 0; at < bytes.length; ) at += writeSync(socket, bytes, at);
}

parentPort!.postMessage('ready');
const reader = new MessageReader();
const chunk = Buffer.alloc(256 * 1024);
for (;;) {
  const length = readSync(socket, chunk, 0, chunk.length, null);
  // The engine has closed its end; the main thread ends the process.
  if (length === 0) break;
  const batchStartedMs = performance.now();
  for (const request of reader.push(chunk.subarray(0, length))) {
    let reply: Buffer | undefined;
    try {
      reply = handle(request);
    } catch (error) {
      reply = failure(request, error);
    }
    if (reply) answers.push(reply);
    if (answers.length > 0 && performance.now() - batchStartedMs > flushAfterMs) flush();
  }
  if (answers.length > 0) flush();
}
