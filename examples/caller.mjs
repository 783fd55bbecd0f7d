// The other end of the line: a caller, written on @livekit/rtc-node.
//   node examples/caller.mjs URL TOKEN [heard.wav]
// It joins, waits to be greeted, says its sentence, waits for an answer and hangs up; when nobody has spoken after
// GIVE_UP_MS (15 s) it hangs up as people do. What it heard, from the first ring to the end, is written to heard.wav, if that is given.
// Each step is one JSON line on standard output: {"event": "greeted", "atMs": milliseconds since 1970}.
import { readFileSync, writeFileSync } from 'node:fs';
import {
  AudioFrame,
  AudioSource,
  AudioStream,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackKind,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node';

const [url, token, wavPath] = process.argv.slice(2);
const giveUpMs = Number(process.env.GIVE_UP_MS ?? 15_000);
const heardRate = 16_000;
const voiceRate = 8_000;
const audibleRms = 300;
const pauseMs = 900;
const answerTimeoutMs = 10_000;

const startedMs = Date.now();
const tell = (event, more = {}) => console.log(JSON.stringify({ event, atMs: Date.now(), ...more }));

/** A 16-bit PCM WAV file. */
function wav(samples, sampleRate) {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)]);
}

/** What the caller heard, on the clock of the call: where no sound arrived there is silence. */
class Ear {
  #samples = new Int16Array(heardRate * 120);
  #end = 0;
  #lastAudibleMs = 0;
  #waiting = [];

  hear(samples) {
    const now = Math.round(((Date.now() - startedMs) * heardRate) / 1_000);
    // Small differences are the clock's; a larger one is silence on the line.
    if (now - this.#end > heardRate / 5) this.#end = now - samples.length;
    this.#samples.set(samples.subarray(0, this.#samples.length - this.#end), this.#end);
    this.#end = Math.min(this.#end + samples.length, this.#samples.length);
    let sum = 0;
    for (const sample of samples) sum += sample * sample;
    if (Math.sqrt(sum / samples.length) > audibleRms) this.#lastAudibleMs = Date.now();
    this.#waiting = this.#waiting.filter((isDone) => !isDone(this.#lastAudibleMs));
  }

  /** Resolves when somebody speaks after `sinceMs`. */
  speech(sinceMs) {
    return new Promise((resolve) =>
      this.#waiting.push((lastAudibleMs) => lastAudibleMs > sinceMs && (resolve() ?? true)),
    );
  }

  /** Resolves at the first pause of `pauseMs`. */
  pause() {
    return new Promise((resolve) =>
      this.#waiting.push((lastAudibleMs) => Date.now() - lastAudibleMs > pauseMs && (resolve() ?? true)),
    );
  }

  toWav() {
    const end = Math.max(this.#end, Math.round(((Date.now() - startedMs) * heardRate) / 1_000));
    return wav(this.#samples.subarray(0, end), heardRate);
  }
}

const ear = new Ear();
const room = new Room();

async function hangUp(event, code) {
  tell(event);
  if (wavPath) writeFileSync(wavPath, ear.toWav());
  await room.disconnect();
  process.exit(code);
}

const within = (promise, timeoutMs) =>
  Promise.race([promise.then(() => true), new Promise((resolve) => setTimeout(resolve, timeoutMs, false))]);

const microphone = new AudioSource(voiceRate, 1);

async function speak(path) {
  const samples = new Int16Array(readFileSync(path).subarray(44).slice().buffer);
  const length = voiceRate / 50;
  for (let at = 0; at + length <= samples.length; at += length) {
    await microphone.captureFrame(new AudioFrame(samples.slice(at, at + length), voiceRate, 1, length));
  }
  await microphone.waitForPlayout();
}

room.on(RoomEvent.ParticipantConnected, ({ identity }) => tell('joined', { identity }));
room.on(RoomEvent.TrackSubscribed, async (track) => {
  if (track.kind !== TrackKind.KIND_AUDIO) return;
  tell('line-open');
  for await (const frame of new AudioStream(track, heardRate, 1)) ear.hear(frame.data);
});

tell('calling');
const greeted = ear.speech(0);
await room.connect(url, token, { autoSubscribe: true, dynacast: false });
tell('ringing');
const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE });
await room.localParticipant.publishTrack(LocalAudioTrack.createAudioTrack('voice', microphone), options);

if (!(await within(greeted, giveUpMs - (Date.now() - startedMs)))) await hangUp('gave-up', 2);
tell('greeted');
await ear.pause();
tell('speaks');
await speak(new URL('speech/caller.wav', import.meta.url));
const spokenMs = Date.now();
if (await within(ear.speech(spokenMs), answerTimeoutMs)) {
  tell('answered');
  await ear.pause();
}
await hangUp('hung-up', 0);
