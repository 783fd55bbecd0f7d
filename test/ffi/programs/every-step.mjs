// An unmodified program that goes through a call step by step, one after the other, so that what it and its engine say
// to each other can be compared between engines. Arguments: url, token. It expects an `echo` peer in the room.
import { once } from 'node:events';

const {
  AudioFrame,
  AudioSource,
  AudioStream,
  LocalAudioTrack,
  Room,
  RoomEvent,
  TrackPublishOptions,
  TrackSource,
} = await import(process.env.RTC_PACKAGE ?? '@livekit/rtc-node');
const [url, token] = process.argv.slice(2);
const room = new Room();
const next = (event) => once(room, event);
const subscribed = next(RoomEvent.TrackSubscribed);
await room.connect(url, token, { autoSubscribe: true, dynacast: false });
const { localParticipant } = room;

const [track, , peer] = await subscribed;
const stream = new AudioStream(track, 16_000, 1).getReader();
for (let i = 0; i < 5; i++) await stream.read();

const source = new AudioSource(48_000, 1);
const local = LocalAudioTrack.createAudioTrack('voice', source);
const published = next(RoomEvent.LocalTrackPublished);
const heard = next(RoomEvent.LocalTrackSubscribed);
const publication = await localParticipant.publishTrack(
  local,
  new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE }),
);
await Promise.all([published, heard]);
for (let i = 0; i < 20; i++) await source.captureFrame(AudioFrame.create(48_000, 1, 480));
await source.waitForPlayout();

const answered = next(RoomEvent.DataReceived);
await localParticipant.publishData(new TextEncoder().encode('hello'), { reliable: true, topic: 'echo' });
await answered;

const read = new Promise((resolve) => {
  room.registerTextStreamHandler('echo', async (reader) => resolve(await reader.readAll()));
});
await localParticipant.sendText('a text', { topic: 'echo' });
await read;

await localParticipant.performRpc({ destinationIdentity: peer.identity, method: 'echo', payload: 'ping' });

const metadata = next(RoomEvent.ParticipantMetadataChanged);
await Promise.all([localParticipant.updateMetadata('busy'), metadata]);
const attributes = next(RoomEvent.ParticipantAttributesChanged);
await Promise.all([localParticipant.setAttributes({ mood: 'good' }), attributes]);

await stream.cancel();
const unpublished = next(RoomEvent.LocalTrackUnpublished);
await localParticipant.unpublishTrack(publication.sid);
await unpublished;
await local.close();
await room.disconnect();
process.exit(0);
