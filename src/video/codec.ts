import { createRequire } from 'node:module';
import type * as WebCodecs from '@napi-rs/webcodecs';
import { describeError, OffhookError } from '../errors/index.js';
import { av1 } from './payload/av1.js';
import { h264 } from './payload/h264.js';
import type { PayloadFormat } from './payload/payload-format.js';
import { vp8 } from './payload/vp8.js';
import { vp9 } from './payload/vp9.js';

export type VideoCodec = 'vp8' | 'vp9' | 'h264' | 'av1';

export const payloadFormats: Readonly<Record<VideoCodec, PayloadFormat>> = { vp8, vp9, h264, av1 };

/** Names of codecs as WebCodecs has them: profile, level and depth are of no matter to a decoder. */
export const codecStrings: Readonly<Record<VideoCodec, string>> = {
  vp8: 'vp8',
  vp9: 'vp09.00.10.08',
  h264: 'avc1.42e01f',
  av1: 'av01.0.04M.08',
};

/** The codec that a session description calls `name`; undefined for others. */
export function videoCodec(name: string): VideoCodec | undefined {
  const codec = name.toLowerCase();
  return codec in payloadFormats ? (codec as VideoCodec) : undefined;
}

export const codecPackage = '@napi-rs/webcodecs';

let loading: Promise<typeof WebCodecs> | undefined;

/**
 * The package that encodes and decodes. It is not among our dependencies (decision 10): it is loaded when the first
 * video stream or sender needs it.
 *
 * @throws OffhookError `OFFHOOK_NOT_SUPPORTED` when it is not installed, or not for this machine
 */
export function loadCodecs(): Promise<typeof WebCodecs> {
  loading ??= importCodecs();
  return loading;
}

async function importCodecs(): Promise<typeof WebCodecs> {
  try {
    return requireCodecs();
  } catch (cause) {
    loading = undefined;
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', `video needs ${codecPackage}: ${describeError(cause)}`, {
      advice: `Install it beside offhook: npm install ${codecPackage}`,
      cause,
    });
  }
}

/** Every package of NAPI-RS reads this variable, by which a program's `@livekit/rtc-ffi-bindings` finds this engine. */
const nativeLibraryVariable = 'NAPI_RS_NATIVE_LIBRARY_PATH';

/** It is CommonJS, whose names an import does not see. */
function requireCodecs(): typeof WebCodecs {
  const { [nativeLibraryVariable]: nativeLibrary } = process.env;
  delete process.env[nativeLibraryVariable];
  try {
    return createRequire(import.meta.url)(codecPackage) as typeof WebCodecs;
  } finally {
    if (nativeLibrary !== undefined) process.env[nativeLibraryVariable] = nativeLibrary;
  }
}

interface CodecCallbacks<Output> {
  output(output: Output): void;
  error(error: unknown): void;
}

/**
 * Callbacks for an encoder or a decoder, without effect once they are released. The package keeps the functions that it was given
 * for as long as the process lives, whether the codec is closed or not, and with them everything that they refer to: here
 * that is an empty box.
 */
export class ReleasableCallbacks<Output> {
  readonly init: CodecCallbacks<Output>;
  #box: { callbacks: CodecCallbacks<Output> | undefined };

  constructor(callbacks: CodecCallbacks<Output>) {
    this.#box = { callbacks };
    this.init = forBox(this.#box);
  }

  release(): void {
    this.#box.callbacks = undefined;
  }
}

/** In a function of its own, so that the closures have nothing but the box in their scope. */
function forBox<Output>(box: { callbacks: CodecCallbacks<Output> | undefined }): CodecCallbacks<Output> {
  return {
    output: (output) => {
      if (box.callbacks) box.callbacks.output(output);
      // A picture that nobody takes would keep its memory until the garbage collector finds it.
      else (output as { close?(): void }).close?.();
    },
    error: (error) => box.callbacks?.error(error),
  };
}
