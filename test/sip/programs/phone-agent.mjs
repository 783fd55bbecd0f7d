// An agent of the unmodified framework as one writes it for LiveKit's telephones: it waits for its caller, reads the attributes,
// says a tone, and puts callers who press 9 through to somebody else. What it sees is in its own attributes.
import { fileURLToPath } from 'node:url';
import { cli, defineAgent, ServerOptions } from '@livekit/agents';
import {
  AudioFrame,
  AudioSource,
  LocalAudioTrack,
  ParticipantKind,
  RoomEvent,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node';
import { SipClient } from 'livekit-server-sdk';

const sampleRate = 48_000;
const hz = 1_000;

export default defineAgent({
  entry: async (ctx) => {
    await ctx.connect();
    const { room } = ctx;
    const { localParticipant } = room;
    const caller = await ctx.waitForParticipant();
    await localParticipant.setAttributes({
      isSip: String(caller.kind === ParticipantKind.SIP),
      caller: JSON.stringify(caller.attributes),
    });
    room.on(RoomEvent.ParticipantAttributesChanged, (changed, participant) => {
      const status = changed['sip.callStatus'];
      if (status && participant.identity === caller.identity) localParticipant.setAttributes({ status });
    });
    room.on(RoomEvent.DtmfReceived, async (_code, digit) => {
      await localParticipant.setAttributes({ digit });
      if (digit !== '9') return;
      const { LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET } = process.env;
      const sip = new SipClient(LIVEKIT_URL.replace(/^ws/, 'http'), LIVEKIT_API_KEY, LIVEKIT_API_SECRET);
      await sip.transferSipParticipant(room.name, caller.identity, 'tel:+4940555');
    });
    const source = new AudioSource(sampleRate, 1);
    const options = new TrackPublishOptions();
    options.source = TrackSource.SOURCE_MICROPHONE;
    await localParticipant.publishTrack(LocalAudioTrack.createAudioTrack('voice', source), options);
    for (let at = 0; room.isConnected; at += 480) {
      const frame = AudioFrame.create(sampleRate, 1, 480);
      for (let i = 0; i < 480; i++) {
        frame.data[i] = 5_000 * Math.sin((2 * Math.PI * hz * (at + i)) / sampleRate);
      }
      await source.captureFrame(frame);
    }
  },
});

cli.runApp(
  new ServerOptions({
    agent: fileURLToPath(import.meta.url),
    agentName: process.env.AGENT_NAME ?? '',
    host: '127.0.0.1',
    port: Number(process.env.AGENT_PORT),
    numIdleProcesses: 1,
    loadThreshold: Number.POSITIVE_INFINITY,
  }),
);
