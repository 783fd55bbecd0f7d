// A room server and two @livekit/rtc-node participants in one process: one speaks a tone, the other prints what it hears.
import {
  AudioFrame,
  AudioSource,
  AudioStream,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node';
import { startServer } from 'offhook/server';

const [adaToken, bobToken] = process.argv.slice(2);
const print = (line) => process.stdout.write(`${JSON.stringify({ atMs: Date.now(), ...line })}\n`);
const server = await startServer({ port: 0 });
const [ada, bob] = [new Room(), new Room()];

const heard = new Promise((resolve) => {
  bob.on(RoomEvent.TrackSubscribed, async (track) => {
    for await (const { data } of new AudioStream(track, { sampleRate: 48_000, numChannels: 1 })) {
      if (data.some((sample) => Math.abs(sample) > 1_000)) break;
    }
    resolve();
  });
});
await bob.connect(server.url, bobToken);
await ada.connect(server.url, adaToken);
const source = new AudioSource(48_000, 1);
const track = LocalAudioTrack.createAudioTrack('tone', source);
await ada.localParticipant.publishTrack(
  track,
  new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE }),
);
let isHeard = false;
void heard.then(() => {
  isHeard = true;
});
for (let at = 0; !isHeard; at += 480) {
  const frame = AudioFrame.create(48_000, 1, 480);
  frame.data.forEach((_, i) => {
    frame.data[i] = 8_000 * Math.sin((2 * Math.PI * 440 * (at + i)) / 48_000);
  });
  await source.captureFrame(frame);
}
print({ event: 'heard' });
await Promise.all([ada.disconnect(), bob.disconnect()]);
await server.close();
print({ event: 'closed' });
process.exit(0);
