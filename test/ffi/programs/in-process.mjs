// What a program's own process sees of the engine: memory, handles, the thread, the end. The argument names the case;
// it prints `{"event":"done", ...}` with what it found.
import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';

const require = createRequire(import.meta.url);
const threads = require('node:worker_threads');
const workers = [];
threads.Worker = class extends threads.Worker {
  constructor(...args) {
    super(...args);
    workers.push(this);
  }
};
const bindings = require('@livekit/rtc-ffi-bindings');
const rtc = await import(process.env.RTC_PACKAGE ?? '@livekit/rtc-node');
const { AudioFrame, AudioResampler, AudioSource } = rtc;

const tell = (event, more = {}) => console.log(JSON.stringify({ event, atMs: Date.now(), ...more }));
const messageOf = (act) => {
  try {
    act();
    return 'nothing was thrown';
  } catch (error) {
    return error.message;
  }
};
const events = [];
const initialize = () => bindings.livekitInitialize((bytes) => events.push(bytes), true, 'test');
const request = (message) =>
  bindings.FfiResponse.fromBinary(bindings.livekitFfiRequest(new bindings.FfiRequest({ message }).toBinary()))
    .message.value;
const tone = (hz, length, sampleRate) =>
  Int16Array.from({ length }, (_, i) => 8_000 * Math.sin((2 * Math.PI * hz * i) / sampleRate));
const energyOf = (samples) => samples.reduce((sum, sample) => sum + sample * sample, 0);
/** The callback of that name and id, once it has come. */
const callbackOf = async (name, asyncId) => {
  while (true) {
    for (const bytes of events) {
      const { message } = bindings.FfiEvent.fromBinary(bytes);
      if (message.case === name && message.value.asyncId === asyncId) return message.value;
    }
    await delay(5);
  }
};
const newSource = () =>
  request({ case: 'newAudioSource', value: { type: 0, queueSizeMs: 10 } }).source.handle.id;

const cases = {
  exports: () => ({ names: Object.keys(require(process.env.NAPI_RS_NATIVE_LIBRARY_PATH)).sort() }),
  /** Uses the engine, opens nothing, and ends by itself. */
  async unconnected() {
    const source = new AudioSource(48_000, 1);
    await source.captureFrame(AudioFrame.create(48_000, 1, 480));
    const resampler = new AudioResampler(48_000, 16_000);
    const [frame] = resampler.push(AudioFrame.create(48_000, 1, 4_800));
    return { samples: frame.samplesPerChannel };
  },
  forked: () =>
    new Promise((resolve) => {
      const child = fork(new URL(import.meta.url), ['unconnected'], { execArgv: [], silent: true });
      let output = '';
      child.stdout.on('data', (chunk) => {
        output += chunk;
      });
      child.once('close', (code) => resolve({ code, output }));
    }),
  pointers() {
    initialize();
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
    const pointer = bindings.livekitRetrievePtr(bytes);
    return {
      inside: [...bindings.livekitCopyBuffer(pointer + 10n, 3)],
      ofView: Number(bindings.livekitRetrievePtr(bytes.subarray(10)) - pointer),
      beyond: messageOf(() => bindings.livekitCopyBuffer(pointer + 98n, 3)),
      unknown: messageOf(() => bindings.livekitCopyBuffer(1n, 3)),
      sent: messageOf(() =>
        request({
          case: 'captureAudioFrame',
          value: {
            sourceHandle: newSource(),
            buffer: { dataPtr: 1n, numChannels: 1, sampleRate: 48_000, samplesPerChannel: 480 },
          },
        }),
      ),
    };
  },
  /** Requests for handles that there are not. */
  async refused() {
    initialize();
    const dataPtr = bindings.livekitRetrievePtr(new Uint8Array(960));
    const buffer = { dataPtr, numChannels: 1, sampleRate: 48_000, samplesPerChannel: 480 };
    const errors = {};
    const asked = {
      publishData: { localParticipantHandle: 98n, dataPtr, dataLen: 3n, reliable: true },
      captureAudioFrame: { sourceHandle: 99n, buffer },
    };
    for (const [name, value] of Object.entries(asked)) {
      errors[name] = (await callbackOf(name, request({ case: name, value }).asyncId)).error;
    }
    return errors;
  },
  /** A capture too large for shared memory, and then the clearing of the queue, which must find it there. */
  async order() {
    const source = new AudioSource(48_000, 1, 10);
    const errors = [];
    const startedMs = performance.now();
    const captures = [5_000, 10, 5_000, 20].map((ms) =>
      source.captureFrame(AudioFrame.create(48_000, 1, ms * 48)).catch(({ message }) => errors.push(message)),
    );
    source.clearQueue();
    await Promise.all(captures);
    return { cleared: performance.now() - startedMs, errors };
  },
  /** A hundred captures of 20 ms into a queue of a second and a half. */
  async paced() {
    const source = new AudioSource(48_000, 1, 1_500);
    await source.captureFrame(AudioFrame.create(48_000, 1, 480));
    source.clearQueue();
    const order = [];
    const startedMs = performance.now();
    let first;
    for (let i = 0; i < 100; i++) {
      await source.captureFrame(AudioFrame.create(48_000, 1, 960));
      order.push(i);
      if (i === 70) first = performance.now() - startedMs;
    }
    return { first, rest: performance.now() - startedMs, order };
  },
  async cleared() {
    const source = new AudioSource(48_000, 1, 1_000);
    const startedMs = performance.now();
    const captures = Array.from({ length: 55 }, () => source.captureFrame(AudioFrame.create(48_000, 1, 960)));
    await captures[49];
    source.clearQueue();
    await Promise.all(captures);
    const waited = performance.now() - startedMs;
    const againMs = performance.now();
    for (let i = 0; i < 49; i++) await source.captureFrame(AudioFrame.create(48_000, 1, 960));
    return { waited, after: performance.now() - againMs };
  },
  async format() {
    const source = new AudioSource(48_000, 1);
    const message = await source
      .captureFrame(AudioFrame.create(16_000, 1, 160))
      .catch(({ message }) => message);
    return { message };
  },
  /** Half a second of a tone, from 48 to 16 kHz. */
  resampled() {
    const resampler = new AudioResampler(48_000, 16_000);
    const frame = AudioFrame.create(48_000, 1, 24_000);
    frame.data.set(tone(440, 24_000, 48_000));
    const [out] = resampler.push(frame);
    const [rest] = resampler.flush();
    resampler.close();
    let crossings = 0;
    for (let i = 1; i < out.data.length; i++) if (out.data[i - 1] < 0 && out.data[i] >= 0) crossings++;
    return {
      pushed: out.samplesPerChannel,
      flushed: rest?.samplesPerChannel ?? 0,
      frequencyHz: (crossings * 16_000) / out.samplesPerChannel,
      error: messageOf(() => new AudioResampler(0, 16_000)),
    };
  },
  /** A tone below what a high-pass filter lets through, and one above. */
  processed() {
    initialize();
    const parts = {
      echoCancellerEnabled: false,
      gainControllerEnabled: false,
      noiseSuppressionEnabled: false,
    };
    const value = { ...parts, highPassFilterEnabled: true };
    const apmHandle = request({ case: 'newApm', value }).apm.handle.id;
    const remaining = (hz) => {
      const samples = tone(hz, 16_000, 16_000);
      const before = energyOf(samples);
      const dataPtr = bindings.livekitRetrievePtr(new Uint8Array(samples.buffer));
      const format = { sampleRate: 16_000, numChannels: 1 };
      const { error } = request({
        case: 'apmProcessStream',
        value: { apmHandle, dataPtr, size: samples.byteLength, ...format },
      });
      if (error) throw new Error(error);
      return energyOf(samples) / before;
    };
    const setDelay = () => request({ case: 'apmSetStreamDelay', value: { apmHandle, delayMs: -1 } });
    const found = { quieter: remaining(25), kept: remaining(1_000), delay: setDelay().error };
    new bindings.FfiHandle(apmHandle).dispose();
    return { ...found, disposed: setDelay().error };
  },
  /** A buffer that the engine hands over lasts until its handle is disposed. */
  lent() {
    initialize();
    const resamplerHandle = request({ case: 'newAudioResampler', value: {} }).resampler.handle.id;
    const dataPtr = bindings.livekitRetrievePtr(new Uint8Array(960));
    const buffer = { dataPtr, numChannels: 1, sampleRate: 48_000, samplesPerChannel: 480 };
    const value = { resamplerHandle, buffer, numChannels: 1, sampleRate: 16_000 };
    const { buffer: lent } = request({ case: 'remixAndResample', value });
    const before = bindings.livekitCopyBuffer(lent.info.dataPtr, 320).length;
    new bindings.FfiHandle(lent.handle.id).dispose();
    return { before, after: messageOf(() => bindings.livekitCopyBuffer(lent.info.dataPtr, 320)) };
  },
  large() {
    const resampler = new AudioResampler(48_000, 24_000);
    const [frame] = resampler.push(AudioFrame.create(48_000, 1, 2_400_000));
    return { samples: frame.samplesPerChannel };
  },
  handles() {
    initialize();
    const handle = new bindings.FfiHandle(newSource());
    handle.dispose();
    handle.dispose();
    return { again: messageOf(() => new bindings.FfiHandle(handle.handle).dispose()) };
  },
  async collected() {
    initialize();
    const sourceHandle = (() => new bindings.FfiHandle(newSource()).handle)();
    const clear = () => messageOf(() => request({ case: 'clearAudioBuffer', value: { sourceHandle } }));
    const before = clear();
    for (let i = 0; i < 100 && clear() === before; i++) {
      globalThis.gc();
      await delay(20);
    }
    return { before, after: clear() };
  },
  async disposed() {
    initialize();
    const sourceHandle = newSource();
    await bindings.livekitDispose();
    return { message: messageOf(() => request({ case: 'clearAudioBuffer', value: { sourceHandle } })) };
  },
  async logs() {
    initialize();
    messageOf(() => request({ case: 'clearAudioBuffer', value: { sourceHandle: 99n } }));
    request({ case: 'newAudioSource', value: { type: 0, queueSizeMs: 10 } });
    while (events.length === 0) await delay(10);
    const records = events.flatMap((bytes) => bindings.FfiEvent.fromBinary(bytes).message.value.records);
    return { warnings: records.filter(({ level }) => level === 1).map(({ message }) => message) };
  },
  /** The engine's thread is lost in mid-call. */
  async lost() {
    const [url, token] = process.argv.slice(3);
    const room = new rtc.Room();
    await room.connect(url, token, { autoSubscribe: true, dynacast: false });
    const disconnected = new Promise((resolve) => room.once(rtc.RoomEvent.Disconnected, resolve));
    const source = new AudioSource(48_000, 1, 10);
    const capture = source.captureFrame(AudioFrame.create(48_000, 1, 48_000)).catch(({ message }) => message);
    workers[0].postMessage('end');
    await disconnected;
    return { capture: await capture, request: messageOf(() => new AudioSource(48_000, 1)) };
  },
  /** The program exits with a room open and audio under way. */
  async abrupt() {
    const [url, token] = process.argv.slice(3);
    const room = new rtc.Room();
    await room.connect(url, token, { autoSubscribe: true, dynacast: false });
    const source = new AudioSource(48_000, 1);
    const track = rtc.LocalAudioTrack.createAudioTrack('voice', source);
    await room.localParticipant.publishTrack(track, new rtc.TrackPublishOptions({ source: 2 }));
    void source.captureFrame(AudioFrame.create(48_000, 1, 48_000));
    setTimeout(() => process.exit(3), 100);
    return {};
  },
};

tell('done', await cases[process.argv[2]]());
