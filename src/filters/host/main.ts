// The child process that holds one plugin. It runs what may block for ever (on_load) in threads of its own, frames in
// another, and ends at once when the engine does: nothing here may outlive the agent.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { constants, setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { decodeControl, encodeControl, MessageReader } from '../frame-protocol.js';
import { PluginLibrary } from './library.js';
import { endWithParent } from './lifeline.js';
import { maxStreams } from './streams.js';

/** A call that never returns keeps its thread; rooms that come and go must not pile them up. */
const maxOnLoads = 8;
/** An on_load that has used this much of a processor loses its thread's priority. */
const cpuLimitMs = 200;
const checkEveryMs = 100;
/** After this long the next thread is started. */
const spareAfterMs = 1_000;

interface HostArguments {
  parentPid: number;
  pluginPath: string;
  dependencies: string[];
}

const hostArguments = JSON.parse(process.argv[2] ?? '{}') as HostArguments;
endWithParent(hostArguments.parentPid);
// A terminal's Ctrl-C reaches this process too; the agent decides when it ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

const control = new net.Socket({ fd: 3, readable: true, writable: true });
const reader = new MessageReader();
/** Addresses of the plugin's streams by slot, shared with the thread that processes frames. */
const streams = new BigUint64Array(new SharedArrayBuffer(8 * maxStreams));

// exit() would wait for a plugin that blocks.
const die = () => process.kill(process.pid, 'SIGKILL');
control.on('close', die);
control.on('error', die);

function reply(value: Record<string, unknown>): void {
  control.write(encodeControl(value));
}

let onLoadsUnderWay = 0;
/** The thread that waits for the next call: starting one costs what the room that connects needs then. */
let spare: Worker | undefined;

function startOnLoadThread(): Worker {
  return new Worker(new URL('./on-load.js', import.meta.url), { workerData: hostArguments });
}

function onLoad(id: unknown, url: unknown, token: unknown): void {
  if (onLoadsUnderWay >= maxOnLoads) {
    reply({ id, error: `${maxOnLoads} calls of on_load have not returned` });
    return;
  }
  onLoadsUnderWay++;
  const worker = spare ?? startOnLoadThread();
  spare = undefined;
  let threadId: number | undefined;
  const watch = setInterval(() => {
    if (threadId === undefined || cpuMsOf(threadId) < cpuLimitMs) return;
    clearInterval(watch);
    yieldToOthers(threadId);
  }, checkEveryMs);
  worker.on('message', (message: { threadId?: number; code?: number }) => {
    threadId ??= message.threadId;
    if (message.code !== undefined) reply({ id, code: message.code });
  });
  worker.on('error', (error) => reply({ id, error: error.message }));
  worker.on('exit', () => {
    clearInterval(watch);
    onLoadsUnderWay--;
  });
  worker.postMessage(JSON.stringify({ url, token }));
  setTimeout(() => {
    spare ??= startOnLoadThread();
  }, spareAfterMs);
}

/** What a thread of this process has used; 0 when it is over. Linux only. */
function cpuMsOf(threadId: number): number {
  try {
    return Number(readFileSync(`/proc/self/task/${threadId}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return 0;
  }
}

/** One that spins may have what nobody else wants of the machine. */
function yieldToOthers(threadId: number): void {
  try {
    setPriority(threadId, constants.priority.PRIORITY_LOW);
  } catch {
    // It has returned meanwhile.
  }
}

function create(library: PluginLibrary, id: unknown, request: Record<string, unknown>): void {
  const { slot, inputRate, outputRate, options, streamInfo } = request;
  const done = async (error: unknown, address: number | bigint) => {
    // A stream that is announced must find its frames awaited.
    await framesReady;
    if (error) {
      reply({ id, error: String(error) });
    } else if (BigInt(address) === 0n) {
      reply({ id, error: 'audio_filter_create returned null: the plugin refuses the stream' });
    } else {
      Atomics.store(streams, Number(slot), BigInt(address));
      reply({ id });
    }
  };
  const createV2 = library.find('audio_filter_create_v2');
  if (createV2) createV2.async(inputRate, outputRate, options, streamInfo, done);
  else library.get('audio_filter_create').async(inputRate, options, streamInfo, done);
}

let framesReady: Promise<unknown> = Promise.resolve();

function handle(library: PluginLibrary, request: Record<string, unknown>): void {
  const { id, op } = request;
  if (op === 'onLoad') onLoad(id, request.url, request.token);
  else if (op === 'create') create(library, id, request);
  else if (op === 'updateToken') {
    library.find('audio_filter_update_token')?.async(request.url, request.token, () => {});
  }
}

try {
  const library = new PluginLibrary(hostArguments.pluginPath, hostArguments.dependencies);
  const frames = new Worker(new URL('./frames.js', import.meta.url), {
    workerData: { ...hostArguments, streams },
  });
  framesReady = once(frames, 'message');
  spare = startOnLoadThread();
  frames.on('error', (error) => {
    process.stderr.write(`filter host: ${error.message}\n`);
    die();
  });
  control.on('data', (chunk) => {
    for (const message of reader.push(chunk)) handle(library, decodeControl(message));
  });
  const separateRates = ['audio_filter_create_v2', 'audio_filter_process_int16_v2'] as const;
  reply({ event: 'opened', separateRates: separateRates.every((name) => library.find(name)) });
} catch (error) {
  reply({ event: 'refused', error: error instanceof Error ? error.message : String(error) });
}
