import type { LibraryHandle } from 'koffi';
import { koffi } from './native-calls.js';

type NativeFunction = ReturnType<LibraryHandle['func']>;

/** What every plugin must have, as shipped plugins do. */
const required = [
  'audio_filter_on_load',
  'audio_filter_destroy',
  'audio_filter_process_int16',
  'audio_filter_process_float',
  'audio_filter_update_stream_info',
] as const;

const prototypes = {
  audio_filter_on_load: 'int32_t audio_filter_on_load(const char *options)',
  audio_filter_create:
    'uintptr_t audio_filter_create(uint32_t rate, const char *options, const char *stream_info)',
  audio_filter_create_v2:
    'uintptr_t audio_filter_create_v2(uint32_t in_rate, uint32_t out_rate, const char *options, const char *stream_info)',
  audio_filter_destroy: 'void audio_filter_destroy(uintptr_t filter)',
  audio_filter_process_int16:
    'void audio_filter_process_int16(uintptr_t filter, size_t count, const int16_t *in, void *out)',
  audio_filter_process_int16_v2:
    'void audio_filter_process_int16_v2(uintptr_t filter, size_t in_count, const int16_t *in, size_t out_count, void *out)',
  audio_filter_process_float:
    'void audio_filter_process_float(uintptr_t filter, size_t count, const float *in, void *out)',
  audio_filter_process_float_v2:
    'void audio_filter_process_float_v2(uintptr_t filter, size_t in_count, const float *in, size_t out_count, void *out)',
  audio_filter_update_stream_info:
    'void audio_filter_update_stream_info(uintptr_t filter, const char *stream_info)',
  audio_filter_update_token: 'void audio_filter_update_token(const char *url, const char *token)',
} as const;

export type PluginSymbol = keyof typeof prototypes;

/** A plugin's library, opened in this process, with the functions of the filter ABI that it has. */
export class PluginLibrary {
  readonly #functions = new Map<PluginSymbol, NativeFunction>();

  /** @throws Error naming the library that does not load, or the symbol that is missing */
  constructor(pluginPath: string, dependencies: readonly string[]) {
    for (const dependency of dependencies) open(dependency, 'dependency');
    const library = open(pluginPath, 'plugin');
    for (const [name, prototype] of Object.entries(prototypes)) {
      try {
        this.#functions.set(name as PluginSymbol, library.func(prototype));
      } catch {
        // Absent: whether that matters is decided below.
      }
    }
    const missing: string[] = required.filter((name) => !this.#functions.has(name));
    if (!this.#functions.has('audio_filter_create') && !this.#functions.has('audio_filter_create_v2')) {
      missing.push('audio_filter_create');
    }
    if (missing.length > 0) throw new Error(`${pluginPath} lacks ${missing.join(', ')}`);
  }

  find(name: PluginSymbol): NativeFunction | undefined {
    return this.#functions.get(name);
  }

  /** @throws Error when the plugin lacks it */
  get(name: PluginSymbol): NativeFunction {
    const found = this.#functions.get(name);
    if (!found) throw new Error(`the plugin lacks ${name}`);
    return found;
  }
}

function open(path: string, role: string): LibraryHandle {
  try {
    // Lazily, as upstream does: a symbol that is never called need not resolve.
    return koffi.load(path, { lazy: true });
  } catch (error) {
    throw new Error(
      `${role} ${path} does not load: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
