import type { Handler } from '../handler.js';

/** Checks the plugin's files, and lets a process of its own load it: nothing is waited for. */
export const loadAudioFilterPlugin: Handler<'loadAudioFilterPlugin'> = (request, { filters }) => {
  const { pluginPath = '', dependencies, moduleId = '' } = request;
  filters.loadNative({ moduleId, pluginPath, dependencies });
  return {};
};
