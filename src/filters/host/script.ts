// The worker thread that runs a filter written in JavaScript or WebAssembly.
import { parentPort, workerData } from 'node:worker_threads';
import { describeError } from '../../errors/index.js';
import type { AudioFilter, AudioFilterDefinition } from '../audio-filter.js';
import type { FilterStreamOptions } from '../filter-host.js';
import { areNumbers, type SampleFormat, type Samples, toFormat } from '../samples.js';
import type { ScriptReply, ScriptRequest } from '../script-messages.js';

interface OpenStream {
  filter: AudioFilter;
  format: SampleFormat;
}

const { moduleUrl } = workerData as { moduleUrl: string };
const streams = new Map<number, OpenStream>();

function reply(message: ScriptReply, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(message, transfer);
}

async function answer(id: number, work: () => unknown): Promise<void> {
  try {
    await work();
    reply({ event: 'done', id });
  } catch (error) {
    reply({ event: 'done', id, error: describeError(error) });
  }
}

async function create(
  { sampleFormat, sampleRate, create }: AudioFilterDefinition,
  slot: number,
  stream: FilterStreamOptions,
): Promise<void> {
  if (sampleRate !== undefined && sampleRate !== stream.inputRate) {
    throw new Error(
      `the filter needs ${sampleRate} Hz, and the stream began at ${stream.inputRate} Hz before that was known`,
    );
  }
  const filter = await create({
    sampleRate: stream.inputRate,
    numChannels: stream.numChannels,
    options: JSON.parse(stream.optionsJson),
    streamInfo: JSON.parse(stream.streamInfoJson),
  });
  if (typeof filter?.process !== 'function')
    throw new Error('create returned an object without a function process');
  streams.set(slot, { filter, format: sampleFormat ?? 'int16' });
}

/** @throws Error when the filter throws, or returns what is not a frame */
function filterFrame({ filter, format }: OpenStream, samples: Samples, outputLength: number): Samples {
  // The filter's own: they were sent here.
  const input = toFormat(samples, format);
  const output = filter.process(input) ?? input;
  const Wanted = format === 'float' ? Float32Array : Int16Array;
  if (!(output instanceof Wanted) || output.length !== outputLength) {
    throw new Error(`process did not return a ${Wanted.name} of ${outputLength} samples`);
  }
  if (!areNumbers(output)) throw new Error('process returned samples that are not numbers');
  return output.slice();
}

function processFrame({ slot, sequence, samples, outputLength }: ScriptRequest & { op: 'process' }): void {
  try {
    const stream = streams.get(slot);
    if (!stream) throw new Error(`there is no stream ${slot}`);
    const output = filterFrame(stream, samples, outputLength);
    reply({ event: 'frame', slot, sequence, samples: output }, [output.buffer as ArrayBuffer]);
  } catch (error) {
    reply({ event: 'frameFailed', slot, sequence, reason: describeError(error) });
  }
}

function handle(definition: AudioFilterDefinition, request: ScriptRequest): void {
  switch (request.op) {
    case 'load':
      void answer(request.id, () => definition.load?.({ url: request.url, token: request.token }));
      break;
    case 'ping':
      reply({ event: 'done', id: request.id });
      break;
    case 'updateToken':
      definition.updateToken?.({ url: request.url, token: request.token });
      break;
    case 'create':
      void answer(request.id, () => create(definition, request.slot, request.stream));
      break;
    case 'process':
      processFrame(request);
      break;
    case 'streamInfo':
      streams.get(request.slot)?.filter.updateStreamInfo?.(JSON.parse(request.streamInfoJson));
      break;
    case 'destroy': {
      const stream = streams.get(request.slot);
      streams.delete(request.slot);
      stream?.filter.close?.();
    }
  }
}

try {
  const { default: definition } = (await import(moduleUrl)) as { default?: AudioFilterDefinition };
  if (typeof definition?.create !== 'function') {
    throw new Error(`${moduleUrl} has no default export with a function create`);
  }
  reply({ event: 'opened', sampleRate: definition.sampleRate });
  parentPort!.on('message', (request: ScriptRequest) => {
    try {
      handle(definition, request);
    } catch (error) {
      // A stream goes on without what it was told.
      process.stderr.write(`filter ${moduleUrl}: ${request.op}: ${describeError(error)}\n`);
    }
  });
} catch (error) {
  reply({ event: 'refused', reason: describeError(error) });
}
