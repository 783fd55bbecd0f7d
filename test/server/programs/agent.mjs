// An agent of the unmodified framework: it joins the room of its job, tells so by an attribute, and plays a tone.
// AGENT_NAME names it (unnamed otherwise), AGENT_TYPE is `room` or `publisher`, AGENT_PORT is its health page's.
import { fileURLToPath } from 'node:url';
import { cli, defineAgent, ServerOptions } from '@livekit/agents';
import { JobType } from '@livekit/protocol';
import {
  AudioFrame,
  AudioSource,
  LocalAudioTrack,
  TrackPublishOptions,
  TrackSource,
} from '@livekit/rtc-node';

const sampleRate = 48_000;
const hz = 1_000;

export default defineAgent({
  entry: async (ctx) => {
    await ctx.connect();
    const { localParticipant } = ctx.room;
    await localParticipant.setAttributes({ job: ctx.job.metadata || 'no metadata' });
    const source = new AudioSource(sampleRate, 1);
    const track = LocalAudioTrack.createAudioTrack('voice', source);
    const options = new TrackPublishOptions();
    options.source = TrackSource.SOURCE_MICROPHONE;
    await localParticipant.publishTrack(track, options);
    for (let at = 0; ctx.room.isConnected; at += 480) {
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
    serverType: process.env.AGENT_TYPE === 'publisher' ? JobType.JT_PUBLISHER : JobType.JT_ROOM,
    host: '127.0.0.1',
    port: Number(process.env.AGENT_PORT),
    numIdleProcesses: 1,
    loadThreshold: Number.POSITIVE_INFINITY,
  }),
);
