// A thread for one call of on_load, which may block for ever.
import { parentPort, workerData } from 'node:worker_threads';
import { PluginLibrary } from './library.js';

const { pluginPath, dependencies, options } = workerData as {
  pluginPath: string;
  dependencies: string[];
  options: string;
};
const library = new PluginLibrary(pluginPath, dependencies);
parentPort!.postMessage(library.get('audio_filter_on_load')(options));
