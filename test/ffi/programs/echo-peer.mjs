// A participant that speaks silence and answers everything: data and texts on the topic `echo`, and the method `echo`.
// Arguments: url, token. Prints `{"event":"ready"}` once it is in the room and publishes.
import {
  AudioFrame,
  AudioSource,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node';

const [url, token] = process.argv.slice(2);
const room = new Room();
await room.connect(url, token, { autoSubscribe: true, dynacast: false });
const { localParticipant } = room;
room.on(RoomEvent.DataReceived, (payload, participant) => {
  void localParticipant.publishData(payload, {
    reliable: true,
    destination_identities: [participant.identity],
  });
});
room.registerTextStreamHandler('echo', async (reader) => {
  await localParticipant.sendText(await reader.readAll(), { topic: 'echo' });
});
localParticipant.registerRpcMethod('echo', async ({ payload }) => payload);
const source = new AudioSource(48_000, 1);
await localParticipant.publishTrack(
  LocalAudioTrack.createAudioTrack('echo', source),
  new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE }),
);
console.log(JSON.stringify({ event: 'ready', atMs: Date.now() }));
while (true) await source.captureFrame(AudioFrame.create(48_000, 1, 480));
