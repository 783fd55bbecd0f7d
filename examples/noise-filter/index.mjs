// A noise filter packaged the way vendors package theirs: a shared library, registered when the module is imported,
// and a function that gives the options for an audio stream. What the library does is set by the environment, see
// noise_filter.c; where it is, by NOISE_FILTER_LIBRARY. Without that variable there is no filter.
import { AudioFilter } from '@livekit/rtc-node';

const moduleId = 'example-noise-filter';
const library = process.env.NOISE_FILTER_LIBRARY;

if (library) new AudioFilter(moduleId, library);

export function noiseFilter() {
  return library ? { moduleId, options: {} } : undefined;
}
