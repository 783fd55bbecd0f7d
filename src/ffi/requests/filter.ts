import type { Handler } from '../handler.js';

/** Checks the plugin's files, and lets a process (or, for a module of JavaScript, a worker) of its own load it. */
export const loadAudioFilterPlugin: Handler<'loadAudioFilterPlugin'> = (
  request,
  { filters, environment },
) => {
  const { pluginPath = '', dependencies, moduleId = '' } = request;
  filters.load({ moduleId, pluginPath, dependencies, environment });
  return {};
};
