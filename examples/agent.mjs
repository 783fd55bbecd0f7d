// A voice agent as any user of @livekit/agents writes one; nothing in it knows which engine it runs on.
//   node --import offhook/register examples/agent.mjs start
// It greets whoever calls and answers when they have spoken. So that it needs no account and no network, its voice is
// two recordings in speech/, and it tells speech from silence by the voice detector that the framework brings along.
import { fileURLToPath } from 'node:url';
import {
  Agent,
  AgentSession,
  AgentSessionEventTypes,
  audioFramesFromFile,
  cli,
  defineAgent,
  log,
  ServerOptions,
} from '@livekit/agents';
import { noiseFilter } from './noise-filter/index.mjs';

const sampleRate = 24_000;
const callsAtOnce = 10;
const clips = {
  greeting: { text: 'Hello! Your call was picked up. How can I help?', file: 'speech/greeting.ogg' },
  answer: { text: 'I heard you.', file: 'speech/answer.ogg' },
};

async function loadClip({ text, file }) {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const frames = [];
  for await (const frame of audioFramesFromFile(path, { sampleRate, numChannels: 1 })) frames.push(frame);
  return { text, frames };
}

export default defineAgent({
  // Runs in each job process before a call reaches it.
  prewarm: async (job) => {
    job.userData.greeting = await loadClip(clips.greeting);
    job.userData.answer = await loadClip(clips.answer);
    log().info('ready for a call');
  },
  entry: async (ctx) => {
    const session = new AgentSession({ turnHandling: { turnDetection: 'manual' } });
    const say = ({ text, frames }) => session.say(text, { audio: ReadableStream.from(frames) });

    session.on(AgentSessionEventTypes.AgentStateChanged, ({ oldState, newState }) =>
      log().info({ oldState, newState }, 'agent state'),
    );
    session.on(AgentSessionEventTypes.UserStateChanged, ({ oldState, newState }) => {
      log().info({ oldState, newState }, 'caller state');
      if (oldState === 'speaking' && newState === 'listening') say(ctx.proc.userData.answer);
    });

    await ctx.connect();
    log().info({ room: ctx.room.name }, 'connected');
    await session.start({
      agent: new Agent({ instructions: 'Greet the caller.' }),
      room: ctx.room,
      inputOptions: { noiseCancellation: noiseFilter() },
    });
    say(ctx.proc.userData.greeting);
  },
});

cli.runApp(
  new ServerOptions({
    agent: fileURLToPath(import.meta.url),
    // The health page of the worker; several workers on one machine need a port each.
    port: Number(process.env.AGENT_PORT ?? 8081),
    host: '127.0.0.1',
    // By calls, not by CPU: on a small machine shared with others the CPU says little about this worker.
    loadFunc: async (server) => server.activeJobs.length / callsAtOnce,
  }),
);
