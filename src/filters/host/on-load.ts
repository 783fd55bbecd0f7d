// A thread that calls on_load, which may block for ever. It is started before it is needed, and waits for calls.
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { PluginLibrary } from './library.js';
import type { LoadedPlugin, OnLoadMessage } from './on-load-threads.js';

const { pluginPath, dependencies } = workerData as LoadedPlugin;
const onLoad = new PluginLibrary(pluginPath, dependencies).get('audio_filter_on_load');

function tell(message: OnLoadMessage): void {
  parentPort!.postMessage(message);
}

if (process.platform === 'linux') tell({ threadId: Number(basename(readlinkSync('/proc/thread-self'))) });
parentPort!.on('message', (options: string) => tell({ code: onLoad(options) }));
