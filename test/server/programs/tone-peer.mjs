// A participant on whatever engine @livekit/rtc-node loads: publishes a tone and reports the tone that it hears.
// Usage: node tone-peer.mjs URL TOKEN FREQUENCY_HZ. Reports are JSON lines on stdout; `quit` on stdin ends it.
import { createInterface } from 'node:readline';
import {
  AudioFrame,
  AudioSource,
  AudioStream,
  dispose,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackKind,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node';

const [url, token, frequency] = process.argv.slice(2);
const sampleRate = 48_000;
const amplitude = 8000;
const report = (message) => console.log(JSON.stringify(message));

const room = new Room();
const startedMs = performance.now();
room.on(RoomEvent.TrackSubscribed, (track, _publication, participant) => {
  if (track.kind === TrackKind.KIND_AUDIO) void listen(track, participant.identity);
});
room.on(RoomEvent.ParticipantDisconnected, ({ identity }) => report({ event: 'left', identity }));
room.on(RoomEvent.TrackMuted, ({ sid }) => report({ event: 'muted', sid }));
room.on(RoomEvent.TrackUnpublished, ({ sid }) => report({ event: 'unpublished', sid }));
room.on(RoomEvent.ActiveSpeakersChanged, (speakers) =>
  report({ event: 'speakers', identities: speakers.map(({ identity }) => identity) }),
);
room.on(RoomEvent.DataReceived, (data, participant, _kind, topic) =>
  report({ event: 'data', text: Buffer.from(data).toString(), from: participant?.identity, topic }),
);
room.on(RoomEvent.Disconnected, (reason) => report({ event: 'disconnected', reason }));
room.on(RoomEvent.ParticipantAttributesChanged, (changed, { identity }) =>
  report({ event: 'attributes', changed, identity }),
);

await room.connect(url, token, { autoSubscribe: true, dynacast: false });
report({ event: 'connected', ms: performance.now() - startedMs, identity: room.localParticipant.identity });

const source = new AudioSource(sampleRate, 1, 200);
const track = LocalAudioTrack.createAudioTrack('tone', source);
let publication;
if (Number(frequency) > 0) {
  const options = new TrackPublishOptions();
  options.source = TrackSource.SOURCE_MICROPHONE;
  publication = await room.localParticipant.publishTrack(track, options);
  report({ event: 'published', ms: performance.now() - startedMs, sid: publication.sid });
  void play();
}

async function play() {
  const samples = 480;
  for (let at = 0; ; at += samples) {
    const frame = AudioFrame.create(sampleRate, 1, samples);
    for (let i = 0; i < samples; i++) {
      frame.data[i] = amplitude * Math.sin((2 * Math.PI * Number(frequency) * (at + i)) / sampleRate);
    }
    await source.captureFrame(frame);
  }
}

/** Counts rising zero crossings over each half second. */
async function listen(subscribed, identity) {
  report({ event: 'subscribed', identity, ms: performance.now() - startedMs });
  let frames = 0;
  let crossings = 0;
  let energy = 0;
  let last = 0;
  for await (const { data } of new AudioStream(subscribed, { sampleRate, numChannels: 1 })) {
    for (const sample of data) {
      if (last < 0 && sample >= 0) crossings++;
      last = sample;
      energy += sample * sample;
    }
    frames += data.length;
    if (frames < sampleRate / 2) continue;
    report({
      event: 'heard',
      identity,
      hz: (crossings * sampleRate) / frames,
      rms: Math.sqrt(energy / frames),
    });
    frames = crossings = energy = 0;
  }
  report({ event: 'ended', identity });
}

const commands = {
  quit: async () => {
    await room.disconnect();
    await dispose();
    process.exit(0);
  },
  data: (text) => room.localParticipant.publishData(Buffer.from(text), { reliable: true, topic: 'test' }),
  mute: () => room.localParticipant,
  unpublish: () => room.localParticipant.unpublishTrack(publication.sid),
  attributes: (json) => room.localParticipant.setAttributes(JSON.parse(json)),
};
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...rest] = line.split(' ');
  await commands[name]?.(rest.join(' '));
}
