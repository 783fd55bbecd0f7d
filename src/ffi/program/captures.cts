import CaptureRing = require('./capture-ring.cjs');
import type ProgramMemory = require('./program-memory.cjs');
import type ProgramRequest = require('./program-request.cjs');

/** The protocol's field numbers. */
const newAudioSource = { sampleRate: 3, numChannels: 4, queueSizeMs: 5 };
const captureAudioFrame = { sourceHandle: 1, buffer: 2, id: 3 };
const frameBuffer = { dataPtr: 1, numChannels: 2, sampleRate: 3, samplesPerChannel: 4 };
const clearAudioBuffer = { sourceHandle: 1 };

const sampleBytes = 2;
/** Room beyond the queue: the capture that fills it is accepted whole, and waits. */
const slackMs = 200;

interface Source {
  ring: CaptureRing;
  sampleRate: number;
  queueFrames: number;
  /** Captures that wait for room, by the id of their callback. */
  waiting: number[];
  /** Captures that went by message, because the ring had no room. */
  posted: number;
  dropped: boolean;
}

interface Options {
  memory: ProgramMemory;
  /** Hands a ring over to the engine. */
  attach(handle: number, ring: CaptureRing): void;
  /** Something was written while the engine did not read. */
  wake(handle: number): void;
  /** The callbacks of captures are due, by their ids. Called in a turn of its own. */
  onCaptured(ids: number[]): void;
}

/**
 * The audio sources of the program, as its own thread sees them: captures are written into shared memory, and called
 * back from here, without a message to the engine while there is room.
 */
class Captures {
  #options: Options;
  #sources = new Map<number, Source>();
  #due: number[] = [];

  constructor(options: Options) {
    this.#options = options;
  }

  /** The engine has made a source. */
  opened(handle: number, request: ProgramRequest): void {
    const sampleRate = request.numbers.get(newAudioSource.sampleRate) ?? 0;
    const numChannels = request.numbers.get(newAudioSource.numChannels) ?? 0;
    const queueMs = request.numbers.get(newAudioSource.queueSizeMs) ?? 0;
    // Without a queue, and with what the engine has defaults for, every capture goes by message.
    if (!sampleRate || !numChannels || !queueMs) return;
    const ring = CaptureRing.create(numChannels, Math.ceil((sampleRate * (queueMs + slackMs)) / 1000));
    const queueFrames = Math.floor((sampleRate * queueMs) / 1000);
    this.#sources.set(handle, { ring, sampleRate, queueFrames, waiting: [], posted: 0, dropped: false });
    this.#options.attach(handle, ring);
  }

  /**
   * Writes a captured frame for the engine to play; its callback comes once the queue has room.
   *
   * @returns the callback's id; undefined for a frame that the engine must be sent
   * @throws RangeError for memory that is not there
   */
  capture(request: ProgramRequest, newId: () => number): number | undefined {
    const handle = request.numbers.get(captureAudioFrame.sourceHandle) ?? 0;
    const source = this.#sources.get(handle);
    if (!source || source.dropped) return undefined;
    const samples = this.#samplesOf(request, source);
    const { ring } = source;
    const inOrder = ring.capturesTaken === source.posted && ring.overflowFrames === 0;
    if (!samples || !inOrder || !ring.write(samples)) {
      source.posted++;
      return undefined;
    }
    if (ring.mustWake()) this.#options.wake(handle);
    const id = request.numbers.get(captureAudioFrame.id) ?? newId();
    source.waiting.push(id);
    if (ring.queuedFrames > source.queueFrames) ring.wait();
    // Looked at once more: the engine may have made room before it could see that this capture waits.
    if (ring.queuedFrames <= source.queueFrames) this.#release(source);
    return id;
  }

  /**
   * Drops what is queued in shared memory; captures that wait are called back.
   *
   * @returns whether that was all: nothing of the source is kept elsewhere
   */
  clear(request: ProgramRequest): boolean {
    const source = this.#sources.get(request.numbers.get(clearAudioBuffer.sourceHandle) ?? 0);
    if (!source || source.dropped) return false;
    source.ring.clear();
    this.#release(source);
    return source.posted === 0;
  }

  /** The engine says that there is room (or, of a source that is closed, that nobody waits for any). */
  hasRoom(handle: number): void {
    const source = this.#sources.get(handle);
    if (!source) return;
    this.#release(source);
    if (source.dropped) this.#sources.delete(handle);
  }

  /** The program has dropped a source. Its last captures still get their callbacks. */
  drop(handle: number): void {
    const source = this.#sources.get(handle);
    if (!source) return;
    source.dropped = true;
    if (source.waiting.length === 0) this.#sources.delete(handle);
  }

  /** The program has dropped everything. */
  dropAll(): void {
    for (const handle of [...this.#sources.keys()]) this.drop(handle);
  }

  get isOwed(): boolean {
    return this.#due.length > 0 || [...this.#sources.values()].some(({ waiting }) => waiting.length > 0);
  }

  /** What waits, given up. */
  takeAll(): number[] {
    const waiting = [...this.#sources.values()].flatMap((source) => source.waiting.splice(0));
    return [...this.#due.splice(0), ...waiting];
  }

  /** The samples to be written; undefined when the engine is to say what is wrong with them. */
  #samplesOf(request: ProgramRequest, { ring, sampleRate }: Source): Int16Array | undefined {
    const frame = request.numbersIn(captureAudioFrame.buffer);
    const numChannels = frame.get(frameBuffer.numChannels);
    if (frame.get(frameBuffer.sampleRate) !== sampleRate || numChannels !== ring.numChannels)
      return undefined;
    const values = numChannels * (frame.get(frameBuffer.samplesPerChannel) ?? 0);
    const bytes = this.#options.memory.view(frame.get(frameBuffer.dataPtr) ?? 0, values * sampleBytes);
    const { buffer, byteOffset } = byteOffsetIsEven(bytes) ? bytes : bytes.slice();
    return new Int16Array(buffer, byteOffset, values);
  }

  #release({ waiting }: Source): void {
    if (waiting.length === 0) return;
    if (this.#due.length === 0) setImmediate(() => this.#options.onCaptured(this.#due.splice(0)));
    this.#due.push(...waiting.splice(0));
  }
}

function byteOffsetIsEven({ byteOffset }: Uint8Array): boolean {
  return byteOffset % sampleBytes === 0;
}

export = Captures;
