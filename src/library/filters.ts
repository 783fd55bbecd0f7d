import { fileURLToPath } from 'node:url';
import { checkName, checkOptions, checkTexts } from '../errors/index.js';
import { LibraryEngine } from './engine.js';

export interface NativeFilter {
  /** The name by which streams ask for it. */
  moduleId: string;
  /** A shared library with LiveKit's audio filter interface. It runs in a process of its own. */
  pluginPath: string;
  /** Libraries that are loaded before it, in order. */
  dependencies?: readonly string[];
}

export interface ScriptFilter {
  /** The name by which streams ask for it. */
  moduleId: string;
  /** A module of JavaScript whose default export is an `AudioFilterDefinition`. It runs in a thread of its own. */
  modulePath: string | URL;
}

/**
 * Makes an audio filter known, for the streams that ask for it by its module id. Nothing waits for it to load: audio
 * passes as it is until the filter is ready, and when it never is.
 *
 * @throws OffhookError `OFFHOOK_FILTER` when there is no such file, or a native filter comes without the package koffi
 * @example
 * registerAudioFilter({ moduleId: 'gain', modulePath: new URL('./gain.mjs', import.meta.url) });
 * for await (const frame of track.frames({ filter: { moduleId: 'gain' } })) play(frame);
 */
export function registerAudioFilter(filter: NativeFilter | ScriptFilter): void {
  checkOptions('a filter', filter, ['moduleId', 'pluginPath', 'modulePath', 'dependencies']);
  const path = 'modulePath' in filter ? filter.modulePath : filter.pluginPath;
  const dependencies = 'dependencies' in filter ? (filter.dependencies ?? []) : [];
  LibraryEngine.shared.request('loadAudioFilterPlugin', {
    moduleId: checkName('moduleId', filter.moduleId),
    pluginPath: path instanceof URL ? fileURLToPath(path) : checkName('the path of a filter', path),
    dependencies: checkTexts('dependencies', dependencies),
  });
}
