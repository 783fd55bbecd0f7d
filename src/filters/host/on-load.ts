// A thread for one call of on_load, which may block for ever. It is started before it is needed, and waits for the call.
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { PluginLibrary } from './library.js';

const { pluginPath, dependencies } = workerData as { pluginPath: string; dependencies: string[] };
const library = new PluginLibrary(pluginPath, dependencies);

parentPort!.once('message', (options: string) => {
  if (process.platform === 'linux') {
    parentPort!.postMessage({ threadId: Number(basename(readlinkSync('/proc/thread-self'))) });
  }
  parentPort!.postMessage({ code: library.get('audio_filter_on_load')(options) });
});
