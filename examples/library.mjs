// The engine as a library: joins a room, speaks a tone, and says how loud the others are.
//   node examples/library.mjs URL TOKEN
// It leaves after five seconds and prints how long each step of connecting took.
import { AudioSource, OffhookError, RemoteAudioTrack, Room, renderTimelineText } from 'offhook';

const [url, token] = process.argv.slice(2);
const sampleRate = 48_000;
const toneHz = 440;
const stayMs = 5_000;

const room = new Room({ name: 'library example' });
room.on('participantConnected', ({ participant }) => console.log(`${participant.identity} joined`));
room.on('trackSubscribed', async ({ participant, track }) => {
  if (track instanceof RemoteAudioTrack) await printLevels(participant.identity, track);
});

/** Prints the level of a track twice a second, in dB below full scale. */
async function printLevels(identity, track) {
  let squares = 0;
  let count = 0;
  for await (const { data } of track.frames({ sampleRate: 16_000 })) {
    for (const sample of data) squares += (sample / 32_768) ** 2;
    count += data.length;
    if (count < 8_000) continue;
    console.log(`${identity}: ${(10 * Math.log10(squares / count)).toFixed(1)} dBFS`);
    squares = 0;
    count = 0;
  }
}

/** Captures 10 ms after 10 ms; the source's queue sets the pace. */
async function speak(source, signal) {
  const samplesPerChannel = sampleRate / 100;
  for (let at = 0; !signal.aborted; at += samplesPerChannel) {
    const data = Int16Array.from({ length: samplesPerChannel }, (_, i) =>
      Math.round(5_000 * Math.sin((2 * Math.PI * toneHz * (at + i)) / sampleRate)),
    );
    await source.captureFrame({ data, sampleRate, numChannels: 1, samplesPerChannel });
  }
}

try {
  await room.connect(url, token, { deadlines: { connect: 5_000 } });
} catch (error) {
  console.error(error instanceof OffhookError ? error.toLine() : error);
  process.exit(1);
}
console.log(`in room ${room.name} with ${[...room.remoteParticipants.keys()].join(', ') || 'nobody'}`);

const source = new AudioSource({ sampleRate, queueSizeMs: 200 });
const publication = await room.localParticipant.publishAudio(source, { name: 'tone' });
console.log(`speaking as ${publication.sid}`);
await speak(source, AbortSignal.timeout(stayMs));

await room.disconnect();
console.log(renderTimelineText(room.timeline));
