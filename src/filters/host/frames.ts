// The thread that processes frames: reads its socket with blocking calls, which costs half of what an event loop does
// (docs/decisions/filter-transport.md), and answers a batch of frames with one write.
import { readSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import {
  type FrameMessage,
  headerBytes,
  MessageReader,
  messageTypes,
  writeMessage,
} from '../frame-protocol.js';
import { FrameBuffersBySize, OverrunError } from './frame-buffers.js';
import { PluginLibrary } from './library.js';

type Answer = Pick<FrameMessage, 'type' | 'value' | 'payload'>;

const socket = 4;
/** A batch is answered early once its first frame has waited for this long. */
const flushAfterMs = 1;
/** More answers than this are written in several pieces. */
const batchBytes = 256 * 1024;

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
const buffers = new FrameBuffersBySize();

/** @throws Error when the plugin gives what is no audio, OverrunError when it wrote where it must not */
function filter(address: bigint, { format, payload, value: outputLength }: FrameMessage): Uint8Array {
  const frame = buffers.get(format, payload.byteLength, outputLength);
  const { input, output } = frame;
  frame.inputBytes.set(payload);
  const v2 = processV2[format];
  if (v2) v2(address, input.length, input, outputLength, output);
  else processV1[format](address, input.length, input, output);
  frame.check();
  return frame.outputBytes;
}

/** What is answered to a request, if anything is. */
function handle(request: FrameMessage): Answer | undefined {
  const address = request.stream < streams.length ? Atomics.load(streams, request.stream) : 0n;
  if (address === 0n) throw new Error(`there is no stream ${request.stream}`);
  switch (request.type) {
    case messageTypes.process:
      return { type: messageTypes.processed, value: 0, payload: filter(address, request) };
    case messageTypes.streamInfo:
      library.get('audio_filter_update_stream_info')(address, Buffer.from(request.payload).toString('utf8'));
      return undefined;
    case messageTypes.destroy:
      Atomics.store(streams, request.stream, 0n);
      library.get('audio_filter_destroy')(address);
      return undefined;
    default:
      throw new Error(`unexpected message type ${request.type}`);
  }
}

function answerTo(request: FrameMessage): Answer | undefined {
  try {
    return handle(request);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const value = error instanceof OverrunError ? 1 : 0;
    return { type: messageTypes.failed, value, payload: Buffer.from(text, 'utf8') };
  }
}

/** Answers that have not been written. */
let batch = new DataView(new ArrayBuffer(batchBytes));
let batchLength = 0;

function flush(): void {
  for (let at = 0; at < batchLength; ) at += writeSync(socket, batch, at, batchLength - at);
  batchLength = 0;
}

function answer({ format, stream, sequence }: FrameMessage, { type, value, payload }: Answer): void {
  const bytes = headerBytes + payload.byteLength;
  if (batchLength + bytes > batch.byteLength) flush();
  if (bytes > batch.byteLength) batch = new DataView(new ArrayBuffer(bytes));
  batchLength = writeMessage(batch, batchLength, { type, format, stream, sequence, value, payload });
}

parentPort!.postMessage('ready');
const reader = new MessageReader();
const chunk = Buffer.alloc(256 * 1024);
for (;;) {
  const length = readSync(socket, chunk, 0, chunk.length, null);
  // The engine has closed its end; the main thread ends the process.
  if (length === 0) break;
  const requests = reader.push(chunk.subarray(0, length));
  const batchStartedMs = performance.now();
  for (const request of requests) {
    const answered = answerTo(request);
    if (answered) answer(request, answered);
    if (requests.length > 1 && performance.now() - batchStartedMs > flushAfterMs) flush();
  }
  flush();
}
