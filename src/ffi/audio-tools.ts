/*
 * What works on audio without a room. The build makes one CommonJS file of it, which the program's thread loads when it
 * first resamples or processes audio itself.
 */
export { Resampler } from '../audio/index.js';
export { describeError } from '../errors/index.js';
export { AudioProcessing } from '../filters/index.js';
