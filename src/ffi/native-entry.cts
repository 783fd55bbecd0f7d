/**
 * What `@livekit/rtc-ffi-bindings` loads in place of its native library when NAPI_RS_NATIVE_LIBRARY_PATH names this
 * file: the same exports, served by offhook's engine thread.
 */
import EngineThread = require('./program/engine-thread.cjs');

let engine: EngineThread | undefined;

function running(): EngineThread {
  if (!engine) throw new Error('livekitInitialize was not called');
  return engine;
}

// A process that was forked is an agent's job process: it waits for a call, and must be ready when that comes.
if (process.send) engine = new EngineThread();

const abandoned = new FinalizationRegistry<number>((handle) => engine?.forget(handle));

/** Owns a handle of the engine's: what belongs to it is freed on `dispose`, or with the object. */
class FfiHandle {
  #handle: bigint;
  #disposed = false;

  constructor(handle: bigint) {
    if (typeof handle !== 'bigint') throw new TypeError(`a handle is a bigint, not ${String(handle)}`);
    this.#handle = handle;
    abandoned.register(this, Number(handle), this);
  }

  get handle(): bigint {
    return this.#handle;
  }

  /** @throws Error when the handle is unknown to the engine */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    abandoned.unregister(this);
    running().drop(Number(this.#handle));
  }
}

/**
 * @param onEvent takes each encoded FfiEvent
 * @param captureLogs whether the engine's log lines are sent as events
 */
function livekitInitialize(onEvent: (event: Uint8Array) => void, captureLogs: boolean, sdkVersion: string) {
  engine ??= new EngineThread();
  engine.onEvent = onEvent;
  engine.initialize(captureLogs, sdkVersion);
}

/** @returns the encoded FfiResponse. @throws Error for a request that cannot be answered */
function livekitFfiRequest(request: Uint8Array): Uint8Array {
  return running().request(request);
}

/** The address by which requests name `bytes`. */
function livekitRetrievePtr(bytes: Uint8Array): bigint {
  return BigInt(running().addressOf(bytes));
}

/** @throws RangeError when there are no `length` bytes at `pointer` */
function livekitCopyBuffer(pointer: bigint, length: number): Uint8Array {
  return running().copyOf(Number(pointer), length);
}

/** Disconnects every room and frees every handle. */
async function livekitDispose(): Promise<void> {
  await engine?.dispose();
}

export = {
  FfiHandle,
  livekitInitialize,
  livekitFfiRequest,
  livekitRetrievePtr,
  livekitCopyBuffer,
  livekitDispose,
};
