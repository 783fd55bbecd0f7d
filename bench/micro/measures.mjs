// What a process does most often, each in isolation. A measure's `prepare` returns `once`, which does it one time (and may
// be asynchronous), and where needed `before`, which is not measured, and `after`, which is, of every batch, and `end`.
// Codecs are left out: their cost is libopus's own.
import { createCipheriv, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { AudioStream } from '../../dist/audio/audio-stream.js';
import { AudioReceiver } from '../../dist/audio/index.js';
import { Ticker } from '../../dist/audio/ticker.js';
import { encodeFrameEvent } from '../../dist/ffi/conversion/audio-stream-event.js';
import { VirtualAddresses } from '../../dist/ffi/engine-memory.js';
import { RtpSender } from '../../dist/rtp/index.js';
import { SrtpContext } from '../../dist/transport/srtp/index.js';

const require = createRequire(import.meta.url);
// Every refused request would be a line.
process.env.OFFHOOK_LOG = 'error';
process.env.NAPI_RS_NATIVE_LIBRARY_PATH = require.resolve('../../dist/ffi/native-entry.cjs');
const bindings = require('@livekit/rtc-ffi-bindings');
const EventBatch = require('../../dist/ffi/program/event-batch.cjs');
const ProgramMemory = require('../../dist/ffi/program/program-memory.cjs');

/** The most that is measured between one `before` and the next. */
export const maxBatch = 2_000;

const profile = 'AEAD_AES_128_GCM';
const opusBytes = 60;
const sampleRate = 24_000;

const newKey = () => ({ key: randomBytes(16), salt: randomBytes(12) });

/** A clock that stands still but for what a measure adds. */
function manualClock() {
  const clock = { ms: 0, nowMs: () => clock.ms, wallClockMs: () => clock.ms };
  return Object.assign(clock, { schedule: () => () => {}, afterInput: () => () => {} });
}

/** The header extension of an audio packet (RFC 6464): a new one for each, as the audio sender makes it. */
const audioLevel = () => [{ id: 1, data: Uint8Array.of(30) }];

function newSender(send) {
  return new RtpSender({
    ssrc: 1,
    payloadType: 111,
    send,
    wallClockMs: () => 0,
    cname: 'bench',
    clockRate: sampleRate,
    random: () => 0,
  });
}

/** Encryption, copies and look-ups as the engine does them, in plain Node: what every measure is divided by. */
export const reference = {
  name: 'reference',
  prepare() {
    const { key, salt } = newKey();
    const packet = randomBytes(120);
    const samples = new Int16Array(480);
    const table = new Map();
    let n = 0;
    return {
      once() {
        const cipher = createCipheriv('aes-128-gcm', key, salt);
        const sealed = Buffer.concat([cipher.update(packet), cipher.final(), cipher.getAuthTag()]);
        table.set(++n, { sealed, copy: samples.slice() });
        table.delete(n - 8);
      },
    };
  },
};

const packetOut = {
  name: 'packet-out',
  title: 'A packet out: numbered, with its header, kept for resending, encrypted',
  prepare() {
    const srtp = new SrtpContext(profile, newKey(), newKey());
    const payload = randomBytes(opusBytes);
    const sender = newSender((packet) => srtp.protectRtp(packet));
    let timestamp = 0;
    return {
      once() {
        timestamp += 960;
        sender.send(payload, timestamp, false, audioLevel());
      },
    };
  },
};

const packetIn = {
  name: 'packet-in',
  title: 'A packet in: decrypted, parsed, accounted for, in its place in the jitter buffer',
  prepare() {
    const [ours, theirs] = [newKey(), newKey()];
    const [near, far] = [new SrtpContext(profile, ours, theirs), new SrtpContext(profile, theirs, ours)];
    const clock = manualClock();
    const receiver = new AudioReceiver({
      payloadTypes: new Map([[111, 'opus']]),
      ticker: new Ticker(clock),
      sendRtcp: () => {},
    });
    const payload = randomBytes(opusBytes);
    const packets = [];
    let next = 0;
    const sender = newSender((packet) => packets.push(far.protectRtp(packet)));
    let timestamp = 0;
    return {
      // Encrypted beforehand.
      before() {
        packets.splice(0, next);
        next = 0;
        while (packets.length < maxBatch) {
          timestamp += 960;
          sender.send(payload, timestamp, false, audioLevel());
        }
      },
      once() {
        clock.ms += 20;
        receiver.handlePacket(near.unprotectRtp(packets[next++]));
      },
      end: () => receiver.close(),
    };
  },
};

const capturedFrame = {
  name: 'captured-frame',
  title:
    "A captured frame of 20 ms: a request in the program's thread, its samples where the engine reads them",
  prepare() {
    bindings.livekitInitialize(() => {}, false, 'bench');
    const ask = (message) =>
      bindings.FfiResponse.fromBinary(
        bindings.livekitFfiRequest(new bindings.FfiRequest({ message }).toBinary()),
      ).message.value;
    const format = { sampleRate, numChannels: 1 };
    const { source } = ask({ case: 'newAudioSource', value: { type: 0, ...format, queueSizeMs: 1_000 } });
    const sourceHandle = source.handle.id;
    const samples = new Uint8Array((sampleRate / 50) * 2);
    const dataPtr = bindings.livekitRetrievePtr(samples);
    const buffer = { dataPtr, ...format, samplesPerChannel: sampleRate / 50 };
    const encoded = (message) => new bindings.FfiRequest({ message }).toBinary();
    const capture = encoded({ case: 'captureAudioFrame', value: { sourceHandle, buffer } });
    const clear = encoded({ case: 'clearAudioBuffer', value: { sourceHandle } });
    let captured = 0;
    return {
      once() {
        bindings.livekitFfiRequest(capture);
        captured++;
        // It is the program's to keep what it captures from.
        samples[0] = captured;
        if (captured % 40 === 0) bindings.livekitFfiRequest(clear);
      },
      // The callbacks, and what the engine's thread has to say, in turns of their own.
      after: () => new Promise((resolve) => setImmediate(resolve)),
      end: () => bindings.livekitDispose(),
    };
  },
};

const receivedFrame = {
  name: 'received-frame',
  title:
    'A received frame of 10 ms: from decoded samples to an event with memory of its own, read and let go',
  prepare() {
    const batch = new EventBatch();
    const memory = new ProgramMemory();
    const addresses = new VirtualAddresses();
    let handle = 0;
    const stream = new AudioStream(
      {
        sampleRate,
        numChannels: 1,
        onFrame(frame) {
          const { buffer, byteOffset, byteLength } = frame.data;
          const bytes = new Uint8Array(buffer, byteOffset, byteLength);
          const lent = { address: addresses.allocate(byteLength), bytes, handle: ++handle, holds: 'own' };
          batch.add({ bytes: encodeFrameEvent(1, frame, lent), buffers: [lent], to: 1 });
        },
        onEnd() {},
      },
      () => 0,
      () => {},
    );
    const audio = { samples: new Int16Array(sampleRate / 100), sampleRate, numChannels: 1 };
    return {
      once() {
        stream.push(audio);
        for (const { buffers } of EventBatch.read(batch.take())) {
          for (const buffer of buffers) {
            memory.lend(buffer);
            memory.view(buffer.address, buffer.bytes.length).slice();
            memory.release(buffer.handle);
          }
        }
      },
      end: () => stream.close(),
    };
  },
};

const rpc = {
  name: 'rpc',
  title:
    'An RPC: a request to the engine thread and the callback from there, of fifty at once (which are refused: no network)',
  asynchronous: true,
  prepare() {
    const waiting = new Map();
    bindings.livekitInitialize(
      (bytes) => {
        const { message } = bindings.FfiEvent.fromBinary(bytes);
        if (message.case === 'performRpc') waiting.get(message.value.asyncId)?.();
      },
      false,
      'bench',
    );
    const value = {
      localParticipantHandle: 1n,
      destinationIdentity: 'b',
      method: 'echo',
      payload: 'x'.repeat(100),
    };
    const request = new bindings.FfiRequest({ message: { case: 'performRpc', value } }).toBinary();
    const call = () =>
      new Promise((resolve) => {
        const { asyncId } = bindings.FfiResponse.fromBinary(bindings.livekitFfiRequest(request)).message
          .value;
        waiting.set(asyncId, () => {
          waiting.delete(asyncId);
          resolve();
        });
      });
    return {
      // How soon a thread wakes up is the machine's, and differs from run to run: so many calls share it.
      times: 50,
      once: () => Promise.all(Array.from({ length: 50 }, call)),
      end: () => bindings.livekitDispose(),
    };
  },
};

export const measures = [packetIn, packetOut, capturedFrame, receivedFrame, rpc];
