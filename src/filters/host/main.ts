// The child process that holds one plugin. It runs what may block for ever (on_load) in threads of its own, frames in
// another, and ends at once when the engine does: nothing here may outlive the agent.
import { once } from 'node:events';
import net from 'node:net';
import { Worker } from 'node:worker_threads';
import { limits } from '../../limits.js';
import { decodeControl, encodeControl, MessageReader } from '../frame-protocol.js';
import { PluginLibrary } from './library.js';
import { endWithParent } from './lifeline.js';
import { type LoadedPlugin, OnLoadThreads } from './on-load-threads.js';

interface HostArguments extends LoadedPlugin {
  parentPid: number;
}

const hostArguments = JSON.parse(process.argv[2] ?? '{}') as HostArguments;
endWithParent(hostArguments.parentPid);
// A terminal's Ctrl-C reaches this process too; the agent decides when it ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

const control = new net.Socket({ fd: 3, readable: true, writable: true });
const reader = new MessageReader();
/** Addresses of the plugin's streams by slot, shared with the thread that processes frames. */
const streams = new BigUint64Array(new SharedArrayBuffer(8 * limits.filterStreams.value));

// exit() would wait for a plugin that blocks.
const die = () => process.kill(process.pid, 'SIGKILL');
control.on('close', die);
control.on('error', die);

function reply(value: Record<string, unknown>): void {
  control.write(encodeControl(value));
}

function create(library: PluginLibrary, request: Record<string, unknown>): void {
  const { id, slot, inputRate, outputRate, options, streamInfo } = request;
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

function onLoad(threads: OnLoadThreads, { id, url, token }: Record<string, unknown>): void {
  threads.call(JSON.stringify({ url, token })).then(
    (code) => reply({ id, code }),
    (error: Error) => reply({ id, error: error.message }),
  );
}

try {
  const library = new PluginLibrary(hostArguments.pluginPath, hostArguments.dependencies);
  const frames = new Worker(new URL('./frames.js', import.meta.url), {
    workerData: { ...hostArguments, streams },
  });
  framesReady = once(frames, 'message');
  const onLoadThreads = new OnLoadThreads(hostArguments);
  frames.on('error', (error) => {
    process.stderr.write(`filter host: ${error.message}\n`);
    die();
  });
  control.on('data', (chunk) => {
    for (const message of reader.push(chunk)) {
      const request = decodeControl(message);
      if (request.op === 'onLoad') onLoad(onLoadThreads, request);
      else if (request.op === 'create') create(library, request);
      else if (request.op === 'updateToken') {
        library.find('audio_filter_update_token')?.async(request.url, request.token, () => {});
      }
    }
  });
  const separateRates = ['audio_filter_create_v2', 'audio_filter_process_int16_v2'] as const;
  reply({ event: 'opened', separateRates: separateRates.every((name) => library.find(name)) });
} catch (error) {
  reply({ event: 'refused', error: error instanceof Error ? error.message : String(error) });
}
