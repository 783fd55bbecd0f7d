import { checkFormat } from '../audio/index.js';
import {
  checkFunction,
  checkInteger,
  checkJson,
  checkName,
  checkObject,
  checkOptions,
  checkSignal,
  describeError,
  OffhookError,
} from '../errors/index.js';
import { protocol } from '../ffi/index.js';
import { limits } from '../limits.js';
import { createLogger } from '../logging/index.js';
import { LibraryEngine } from './engine.js';
import { FrameStream } from './inbox.js';

const log = createLogger('library');

/** A piece of audio: interleaved samples of 16 bits. */
export interface AudioFrame {
  /** `samplesPerChannel * numChannels` samples. */
  data: Int16Array;
  /** Hz. */
  sampleRate: number;
  numChannels: number;
  samplesPerChannel: number;
}

export interface AudioSourceOptions {
  /** Hz. */
  sampleRate: number;
  /** Default 1. */
  numChannels?: number;
  /** How much audio may wait to be sent before `captureFrame` makes the program wait. Default 1,000. */
  queueSizeMs?: number;
}

function checkFrame(what: string, frame: AudioFrame): void {
  checkObject(`${what}: the frame`, frame);
  const { data, numChannels, samplesPerChannel } = frame;
  checkInteger(`${what}: numChannels`, numChannels, 1, limits.channels.value);
  checkInteger(`${what}: samplesPerChannel`, samplesPerChannel, 0, Number.MAX_SAFE_INTEGER);
  if (data instanceof Int16Array && data.length === samplesPerChannel * numChannels) return;
  throw new OffhookError(
    'OFFHOOK_INVALID_REQUEST',
    `${what}: ${data?.length} samples are not ${samplesPerChannel} for each of ${numChannels} channels`,
    { advice: 'Give an Int16Array of samplesPerChannel * numChannels samples.' },
  );
}

/**
 * Audio that the program makes. It may be published in several rooms, again and again. What is captured is played out in
 * real time by the engine's thread, whatever the program does meanwhile.
 *
 * @example
 * const source = new AudioSource({ sampleRate: 48_000 });
 * await room.localParticipant.publishAudio(source);
 * await source.captureFrame({ data, sampleRate: 48_000, numChannels: 1, samplesPerChannel: 480 });
 */
export class AudioSource {
  readonly sampleRate: number;
  readonly numChannels: number;
  readonly queueSizeMs: number;
  readonly #engine = LibraryEngine.shared;
  readonly #handle: bigint;
  #playedOutAtMs = 0;

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a number that is out of limits */
  constructor(options: AudioSourceOptions) {
    checkOptions('the options of an AudioSource', options, ['sampleRate', 'numChannels', 'queueSizeMs']);
    const { sampleRate, numChannels = 1, queueSizeMs = 1_000 } = options;
    checkFormat('AudioSource', { sampleRate, numChannels });
    checkInteger('queueSizeMs', queueSizeMs, 0, limits.sourceQueue.value);
    this.sampleRate = sampleRate;
    this.numChannels = numChannels;
    this.queueSizeMs = queueSizeMs;
    const { source } = this.#engine.request('newAudioSource', {
      type: protocol.AudioSourceType.AUDIO_SOURCE_NATIVE,
      sampleRate,
      numChannels,
      queueSizeMs,
    });
    this.#handle = source?.handle?.id ?? 0n;
    this.#engine.dropWith(this, this.#handle);
  }

  /** @internal */
  get handle(): bigint {
    return this.#handle;
  }

  /** How much audio waits to be sent, in milliseconds. */
  get queuedMs(): number {
    return Math.max(0, this.#playedOutAtMs - performance.now());
  }

  /**
   * Queues a frame of any length; resolves when there is room for more, so that a loop that awaits it runs in real time.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a frame that is not what it says, or not of the source's format
   */
  async captureFrame(frame: AudioFrame): Promise<void> {
    checkFrame('captureFrame', frame);
    const { data, sampleRate, numChannels, samplesPerChannel } = frame;
    if (sampleRate !== this.sampleRate || numChannels !== this.numChannels) {
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        `captureFrame: a frame of ${String(sampleRate)} Hz and ${String(numChannels)} channels for a source of ${this.sampleRate} Hz and ${this.numChannels}`,
      );
    }
    if (data.length === 0) return;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const durationMs = (samplesPerChannel / sampleRate) * 1_000;
    this.#playedOutAtMs = Math.max(this.#playedOutAtMs, performance.now()) + durationMs;
    await this.#engine.call('captureAudioFrame', {
      sourceHandle: this.#handle,
      buffer: { dataPtr: this.#engine.addressOf(bytes), sampleRate, numChannels, samplesPerChannel },
    });
  }

  /** Drops what is queued, for example when a caller interrupts. */
  clearQueue(): void {
    this.#engine.request('clearAudioBuffer', { sourceHandle: this.#handle });
    this.#playedOutAtMs = 0;
  }

  /** Resolves when all that was captured has been sent. */
  async waitForPlayout(): Promise<void> {
    while (this.queuedMs > 0) await new Promise((resolve) => setTimeout(resolve, this.queuedMs));
  }

  /** Ends the source; its tracks are silent from then on. */
  close(): void {
    this.#engine.drop(this.#handle);
  }

  /** `using` calls it: as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Changes the frames of one stream in the program's own thread. */
export interface FrameFilter {
  process(frame: AudioFrame): AudioFrame;
}

export interface AudioStreamOptions {
  /** Hz. Default 48,000. */
  sampleRate?: number;
  /** Default 1. */
  numChannels?: number;
  /** Length of a frame. Default 10. */
  frameSizeMs?: number;
  /** Frames that wait for a program that is slow; beyond them the oldest are dropped. Default: 30 s of audio. */
  queueSizeFrames?: number;
  /**
   * A filter of this stream: one that was registered under a module id, or code of the program's own. While a
   * registered one loads, and when it is unavailable, audio passes as it is.
   */
  filter?: { moduleId: string; options?: unknown } | FrameFilter;
  /** Aborting it closes the stream; a loop over it throws the signal's reason. */
  signal?: AbortSignal;
}

const streamOptions = ['sampleRate', 'numChannels', 'frameSizeMs', 'queueSizeFrames', 'filter', 'signal'];

/** The frames of a track, resampled and remixed to what was asked for. Iterate over it; it ends with the track. */
export class AudioStream extends FrameStream<AudioFrame> {
  readonly #filter: FrameFilter | undefined;
  #hasFilterFailed = false;

  /** @internal `RemoteAudioTrack.openStream` makes them. */
  constructor(trackHandle: bigint, options: AudioStreamOptions) {
    checkOptions('the options of an audio stream', options, streamOptions);
    const { sampleRate = 48_000, numChannels = 1, frameSizeMs = 10, filter } = options;
    checkFormat('AudioStream', { sampleRate, numChannels });
    checkInteger('frameSizeMs', frameSizeMs, 1, limits.frameSize.value);
    const { queueSizeFrames = Math.ceil(30_000 / frameSizeMs) } = options;
    checkInteger('queueSizeFrames', queueSizeFrames, 1, 1_000_000);
    const filterFields = registeredFilter(filter);
    checkSignal(options.signal);
    super(queueSizeFrames);
    this.#filter = filter && 'process' in filter ? filter : undefined;
    const { stream } = this.engine.request('newAudioStream', {
      trackHandle,
      type: protocol.AudioStreamType.AUDIO_STREAM_NATIVE,
      sampleRate,
      numChannels,
      frameSizeMs,
      queueSizeFrames,
      ...filterFields,
    });
    this.listen(stream?.handle?.id ?? 0n, options.signal, (message) => {
      if (message.case !== 'audioStreamEvent') return;
      const event = message.value.message;
      if (event.case === 'frameReceived') this.arrived.push(this.#copyOf(event.value.frame));
      else if (event.case === 'eos') this.ended();
    });
  }

  protected override frameOf(frame: AudioFrame): AudioFrame {
    return frame;
  }

  /** Runs for each frame that comes. */
  #copyOf(frame: { handle?: { id?: bigint }; info?: FrameInfo } | undefined): AudioFrame {
    const { dataPtr, sampleRate = 0, numChannels = 0, samplesPerChannel = 0 } = frame?.info ?? {};
    const bytes = this.engine.copyOf(dataPtr, samplesPerChannel * numChannels * Int16Array.BYTES_PER_ELEMENT);
    this.engine.drop(frame?.handle?.id);
    const data = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / Int16Array.BYTES_PER_ELEMENT);
    const received: AudioFrame = { data, sampleRate, numChannels, samplesPerChannel };
    return this.#filtered(received);
  }

  /** A filter that fails is reported once; the frames that it fails at pass as they are. */
  #filtered(frame: AudioFrame): AudioFrame {
    if (!this.#filter) return frame;
    try {
      const filtered = this.#filter.process(frame);
      checkFrame('a frame that the filter returned', filtered);
      return filtered;
    } catch (error) {
      if (!this.#hasFilterFailed) {
        const cause = error instanceof Error ? error.stack : describeError(error);
        log.error(`the filter of an audio stream failed; its audio passes unfiltered: ${cause}`);
      }
      this.#hasFilterFailed = true;
      return frame;
    }
  }
}

/** The fields of the stream request for a filter that was registered under a module id. */
function registeredFilter(filter: AudioStreamOptions['filter']) {
  if (filter === undefined) return {};
  checkObject('filter', filter);
  if ('process' in filter) {
    checkFunction('filter.process', filter.process);
    return {};
  }
  checkOptions('filter', filter, ['moduleId', 'options']);
  return {
    audioFilterModuleId: checkName('filter.moduleId', filter.moduleId),
    audioFilterOptions: checkJson('filter.options', filter.options),
  };
}

interface FrameInfo {
  dataPtr?: bigint;
  sampleRate?: number;
  numChannels?: number;
  samplesPerChannel?: number;
}
