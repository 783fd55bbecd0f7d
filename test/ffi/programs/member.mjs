// A member of a room that a test steers: an unmodified rtc-node program, of the version that RTC_PACKAGE names. It takes
// the commands of test/support/commands.mjs, and prints what happens in the room.
import { takeCommands, tell } from '../../support/commands.mjs';

const rtc = await import(process.env.RTC_PACKAGE ?? '@livekit/rtc-node');
const {
  AudioFrame,
  AudioSource,
  AudioStream,
  LocalAudioTrack,
  Room,
  RoomEvent,
  RpcError,
  TrackPublishOptions,
} = rtc;

const room = new Room();
const local = () => room.localParticipant;
const publications = new Map();
const writers = new Map();
const remotePublication = (identity) =>
  [...room.remoteParticipants.get(identity).trackPublications.values()][0];
const text = (bytes) => new TextDecoder().decode(bytes);

const commands = {
  async connect({ url, token, options = {} }) {
    await room.connect(url, token, { autoSubscribe: true, dynacast: false, ...options });
    return { sid: await room.getSid(), identity: local().identity };
  },
  async disconnect() {
    await room.disconnect();
  },
  async publishSilence({ name = 'silence' }) {
    const source = new AudioSource(48_000, 1);
    const track = LocalAudioTrack.createAudioTrack(name, source);
    const publication = await local().publishTrack(track, new TrackPublishOptions({ source: 2 }));
    publications.set(name, publication);
    for (let i = 0; i < 5; i++) await source.captureFrame(AudioFrame.create(48_000, 1, 480));
    return { sid: publication.sid };
  },
  async publicationSid({ name = 'silence' }) {
    return publications.get(name).sid;
  },
  async listen({ identity, sampleRate, numChannels = 1, frameSizeMs }) {
    const { track } = remotePublication(identity);
    const stream = new AudioStream(track, { sampleRate, numChannels, frameSizeMs });
    for await (const frame of stream) {
      tell('frame', {
        sampleRate: frame.sampleRate,
        channels: frame.channels,
        samplesPerChannel: frame.samplesPerChannel,
        values: frame.data.length,
      });
      break;
    }
    return {};
  },
  async setSubscribed({ identity, subscribed }) {
    remotePublication(identity).setSubscribed(subscribed);
  },
  async publishData({ content, reliable = true, topic, to }) {
    const bytes = typeof content === 'number' ? new Uint8Array(content).fill(7) : Buffer.from(content);
    await local().publishData(bytes, { reliable, topic, destination_identities: to });
  },
  async dtmf({ code, digit }) {
    await local().publishDtmf(code, digit);
  },
  async transcription({ identity, trackSid, words }) {
    const segment = { id: 's1', text: words, startTime: 0n, endTime: 0n, final: true, language: 'en' };
    await local().publishTranscription({ participantIdentity: identity, trackSid, segments: [segment] });
  },
  async chat({ words }) {
    const sent = await local().sendChatMessage(words);
    const edited = await local().editChatMessage(`${words}!`, sent);
    return { sent: sent.message, edited: edited.message, sameId: sent.id === edited.id };
  },
  async metadata({ metadata, name, attributes }) {
    if (metadata !== undefined) await local().updateMetadata(metadata);
    if (name !== undefined) await local().updateName(name);
    if (attributes !== undefined) await local().setAttributes(attributes);
  },
  async answerRpc({ method }) {
    local().registerRpcMethod(method, async ({ payload, callerIdentity }) => {
      if (payload === 'fail') throw new RpcError(1234, 'as asked', 'with data');
      if (payload === 'throw') throw new Error('a mistake');
      return `${callerIdentity} said ${payload}`;
    });
  },
  async refuseRpc({ method }) {
    local().unregisterRpcMethod(method);
  },
  async rpc({ to, method, payload, timeoutMs }) {
    try {
      const answer = await local().performRpc({
        destinationIdentity: to,
        method,
        payload,
        responseTimeout: timeoutMs,
      });
      return { answer };
    } catch ({ code, message, data }) {
      return { code, message, data };
    }
  },
  async receiveStreams({ topic }) {
    room.registerTextStreamHandler(topic, async (reader, { identity }) => {
      const { attributes, totalSize } = reader.info;
      tell('textOpened', { identity });
      try {
        tell('text', { identity, attributes, totalSize, content: await reader.readAll() });
      } catch (error) {
        tell('brokenText', { message: error.message });
      }
    });
    room.registerByteStreamHandler(topic, async (reader, { identity }) => {
      const content = Buffer.concat(await reader.readAll());
      const { name, mimeType } = reader.info;
      tell('bytes', {
        identity,
        name,
        mimeType,
        length: content.length,
        sum: content.reduce((a, b) => a + b, 0),
      });
    });
  },
  async sendText({ content, topic, attributes }) {
    const words = typeof content === 'number' ? 'ä'.repeat(content) : content;
    await local().sendText(words, { topic, attributes });
  },
  async openText({ topic }) {
    writers.set(topic, await local().streamText({ topic }));
  },
  async writeText({ topic, content }) {
    await writers.get(topic).write(content);
  },
  async closeText({ topic }) {
    await writers.get(topic).close();
  },
  async sendBytes({ topic, length, name }) {
    const writer = await local().streamBytes({ topic, name, totalSize: length });
    await writer.write(new Uint8Array(length).fill(1));
    await writer.close();
  },
  async sendFile({ topic, path, name }) {
    await local().sendFile(path, { topic, name, mimeType: 'text/plain' });
  },
  async stats() {
    const { publisherStats, subscriberStats } = await room.getRtcStats();
    const names = (stats) => stats.map(({ stats: { case: name } }) => name).sort();
    const inbound = [...publisherStats, ...subscriberStats].find(({ stats }) => stats.case === 'inboundRtp')
      ?.stats.value;
    const outbound = publisherStats.find(({ stats }) => stats.case === 'outboundRtp')?.stats.value;
    return {
      publisher: names(publisherStats),
      subscriber: names(subscriberStats),
      packetsReceived: Number(inbound?.received.packetsReceived ?? 0),
      packetsSent: Number(outbound?.sent.packetsSent ?? 0),
    };
  },
  async simulate({ scenario }) {
    await room.simulateScenario(scenario);
  },
  async members() {
    return [...room.remoteParticipants.values()].map(({ identity, trackPublications }) => ({
      identity,
      tracks: trackPublications.size,
    }));
  },
};

const withIdentity = (event) => room.on(event, ({ identity }) => tell(event, { identity }));
withIdentity(RoomEvent.ParticipantConnected);
withIdentity(RoomEvent.ParticipantDisconnected);
for (const event of [RoomEvent.TrackPublished, RoomEvent.TrackUnpublished]) {
  room.on(event, ({ sid, name }, { identity }) => tell(event, { sid, name, identity }));
}
for (const event of [RoomEvent.TrackSubscribed, RoomEvent.TrackUnsubscribed]) {
  room.on(event, (_track, { sid, name }, { identity }) => tell(event, { sid, name, identity }));
}
for (const event of [RoomEvent.TrackMuted, RoomEvent.TrackUnmuted]) {
  room.on(event, ({ sid }, { identity }) => tell(event, { sid, identity }));
}
for (const event of [RoomEvent.Reconnecting, RoomEvent.Reconnected]) room.on(event, () => tell(event));
room.on(RoomEvent.LocalTrackRepublished, ({ sid }, previousSid) => tell('republished', { sid, previousSid }));
room.on(RoomEvent.Disconnected, (reason) => tell('disconnected', { reason }));
room.on(RoomEvent.ParticipantMetadataChanged, (metadata, { identity }) =>
  tell('metadata', { metadata, identity }),
);
room.on(RoomEvent.ParticipantNameChanged, (name, { identity }) => tell('name', { name, identity }));
room.on(RoomEvent.ParticipantAttributesChanged, (changed, { identity }) =>
  tell('attributes', { changed, identity }),
);
room.on(RoomEvent.DtmfReceived, (code, digit, { identity }) => tell('dtmf', { code, digit, identity }));
room.on(RoomEvent.ChatMessage, ({ message }, { identity }) => tell('chat', { message, identity }));
room.on(RoomEvent.DataReceived, (payload, participant, kind, topic) =>
  tell('data', {
    content: payload.length > 100 ? payload.length : text(payload),
    identity: participant?.identity,
    kind,
    topic,
  }),
);

await takeCommands(commands);
await room.disconnect();
process.exit(0);
