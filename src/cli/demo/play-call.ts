import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { signAccess } from '../../server/index.js';
import type { CallRecord as TelephoneRecord } from '../../sip/index.js';
import type { TimelineRecord } from '../../timeline/index.js';
import type { CallRecord, CallStep, EngineName } from './call-record.js';
import { ChildProgram } from './child-program.js';
import { type NoiseFilter, noFilter } from './noise-filter.js';
import type { RoomServer } from './room-server.js';
import {
  type AgentLine,
  agentStep,
  type CallerLine,
  callerStep,
  engineComplaint,
  filterSteps,
  parseAgentLine,
  parseJsonLine,
} from './steps.js';
import { callByTelephone } from './telephone.js';
import { levelsDbfs, readWav } from './wav.js';

export interface PythonAgent {
  interpreter: string;
  library: string;
}

export interface CallOptions {
  engine: EngineName;
  server: RoomServer;
  /** Root of the repository or of the engine in a Python package: where examples/ and dist/ are. */
  root: string;
  /** What the caller is on: LiveKit's native engine, where that is installed. */
  callerEngine: EngineName;
  /** Folder for what the call leaves: recordings, timelines. */
  folder: string;
  filter: NoiseFilter | undefined;
  /** For an agent on livekit-agents: its interpreter, and the library that puts it on this engine. */
  python?: PythonAgent;
  /** The caller hangs up when it has heard nothing for this long. */
  giveUpMs: number;
  onProgress: (line: string) => void;
  /** Each thing that happens, as it happens. */
  onStep: (step: CallStep) => void;
}

const levelStepMs = 50;
const agentReadyTimeoutMs = 60_000;
const callTimeoutMs = 90_000;
const watchEveryMs = 100;
/** Exit code of a caller who heard nothing. */
const gaveUpCode = 2;

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** The environment of a program on LiveKit's native engine: nothing in it selects another one. */
function nativeEnvironment(): NodeJS.ProcessEnv {
  const { NAPI_RS_NATIVE_LIBRARY_PATH, LIVEKIT_LIB_PATH, NODE_OPTIONS, ...rest } = process.env;
  return rest;
}

function callerToken({ apiKey, apiSecret }: RoomServer, room: string): Promise<string> {
  return signAccess(apiKey, apiSecret, {
    identity: 'caller',
    lifetime: '10m',
    grants: { roomJoin: true, room },
  });
}

function readTimelines(folder: string): TimelineRecord[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as TimelineRecord);
}

interface Agent {
  program: ChildProgram;
  /** Resolves when a job process waits for a call. */
  ready: Promise<void>;
}

function startAgent(
  options: CallOptions,
  port: number,
  timelines: string,
  onLine: (line: AgentLine) => void,
): Agent {
  const { engine, server, root, filter, python, onProgress } = options;
  const complaints = new Set<string>();
  let registered = false;
  let warm = false;
  let resolveReady = () => {};
  const ready = new Promise<void>((resolve) => {
    resolveReady = resolve;
  });
  const program = new ChildProgram(`agent on the ${engine} engine`, {
    ...agentCommand(engine, root, python),
    cwd: root,
    env: {
      ...nativeEnvironment(),
      ...(python &&
        engine === 'offhook' && { LIVEKIT_LIB_PATH: python.library, OFFHOOK_NODE: process.execPath }),
      LIVEKIT_URL: server.url,
      LIVEKIT_API_KEY: server.apiKey,
      LIVEKIT_API_SECRET: server.apiSecret,
      AGENT_PORT: String(port),
      OFFHOOK_TIMELINE: timelines,
      ...(filter && {
        NOISE_FILTER_LIBRARY: filter.library,
        NOISE_FILTER_ON_LOAD: 'block',
        // A filter's process gets only the variables that are named for it.
        OFFHOOK_FILTER_ENV: 'NOISE_FILTER_ON_LOAD',
      }),
    },
    onLine: (text) => {
      const complaint = engineComplaint(text);
      // Each process of the agent makes the same one.
      if (complaint && !warm && !complaints.has(complaint)) onProgress(`the engine warns: ${complaint}`);
      if (complaint) complaints.add(complaint);
      const line = parseAgentLine(text);
      if (!line) return;
      registered ||= line.msg === 'registered worker';
      warm ||= line.msg === 'ready for a call';
      if (registered && warm) resolveReady();
      onLine(line);
    },
  });
  return { program, ready };
}

/** A caller in a room of its own. */
async function startCaller(
  { engine, callerEngine, server, root, giveUpMs }: CallOptions,
  recording: string,
  onLine: (line: CallerLine) => void,
): Promise<ChildProgram> {
  const token = await callerToken(server, `demo-${engine}-${process.pid}`);
  return new ChildProgram('caller', {
    args: [...nodeArguments(callerEngine, root), 'examples/caller.mjs', server.url, token, recording],
    cwd: root,
    env: { ...nativeEnvironment(), GIVE_UP_MS: String(giveUpMs) },
    onLine: (text) => {
      const line = parseJsonLine<CallerLine>(text);
      if (line?.event !== undefined) onLine(line);
    },
  });
}

/** What the gateway recorded of the one call that it had; it writes that when the call has ended. */
async function readTelephoneRecord(folder: string): Promise<TelephoneRecord | undefined> {
  for (let attempt = 0; attempt < 30; attempt++) {
    const file = readdirSync(folder).find((name) => name.endsWith('.json'));
    if (file) return JSON.parse(readFileSync(join(folder, file), 'utf8')) as TelephoneRecord;
    await new Promise((resolve) => setTimeout(resolve, watchEveryMs));
  }
  return undefined;
}

/** What puts a program for Node on `engine`. */
function nodeArguments(engine: EngineName, root: string): string[] {
  return engine === 'offhook' ? ['--import', join(root, 'dist/ffi/register.js')] : [];
}

function agentCommand(
  engine: EngineName,
  root: string,
  python: PythonAgent | undefined,
): { command?: string; args: string[] } {
  if (python)
    return { command: python.interpreter, args: ['-W', 'ignore', 'examples/python/agent.py', 'start'] };
  return {
    args: [...nodeArguments(engine, root), 'examples/agent.mjs', 'start'],
  };
}

/** Plays one call: an agent on `engine`, a caller on the native engine, and a room of their own. */
export async function playCall(options: CallOptions): Promise<CallRecord> {
  const { engine, server, folder, filter, giveUpMs, onProgress, onStep } = options;
  const timelines = join(folder, `${engine}-timelines`);
  const recording = join(folder, `${engine}.wav`);
  rmSync(timelines, { recursive: true, force: true });
  mkdirSync(timelines, { recursive: true });

  const steps: CallStep[] = [];
  let dialledAtMs = Number.POSITIVE_INFINITY;
  const add = (step: CallStep | undefined) => {
    if (!step) return;
    steps.push(step);
    onStep(step);
  };

  const known = new Set<string>();
  const addFilterSteps = () => {
    for (const step of readTimelines(timelines).flatMap((record) => filterSteps(record, dialledAtMs))) {
      if (!known.has(step.what)) add(step);
      known.add(step.what);
    }
  };
  const watching = setInterval(addFilterSteps, watchEveryMs);

  onProgress(
    `starting the agent on the ${engine} engine: ${options.python ? 'examples/python/agent.py' : 'examples/agent.mjs'} start`,
  );
  const agent = startAgent(options, await freePort(), timelines, (line) => add(agentStep(line, dialledAtMs)));
  let caller: ChildProgram | undefined;
  try {
    await agent.program.until(agent.ready, 'ready for a call', agentReadyTimeoutMs);
    onProgress('the agent is waiting for calls; a caller dials');
    const onLine = (line: CallerLine) => {
      if (line.event === 'calling') dialledAtMs = line.atMs;
      add(callerStep(line, dialledAtMs));
    };
    if (server.telephone) {
      await callByTelephone({ uri: server.telephone.uri, recording, giveUpMs, onEvent: onLine });
    } else {
      caller = await startCaller(options, recording, onLine);
      const code = await caller.until(caller.ended, 'done', callTimeoutMs);
      if (code !== 0 && code !== gaveUpCode) throw caller.failure(`ended with ${code}`);
    }
  } finally {
    clearInterval(watching);
    await caller?.stop();
    await agent.program.stop();
  }

  addFilterSteps();
  const telephone = server.telephone && (await readTelephoneRecord(server.telephone.calls));
  const stepOf = (what: string) => steps.find((step) => step.who === 'caller' && step.mark === what);
  const greeted = stepOf('agent heard');
  return {
    engine,
    greeted: greeted !== undefined,
    firstAudioMs: greeted?.atMs,
    durationMs: Math.max(...steps.filter((step) => step.who === 'caller').map((step) => step.atMs)),
    filterBehaviour: filter?.behaviour ?? noFilter,
    steps: steps.sort((a, b) => a.atMs - b.atMs),
    levels: levelsDbfs(readWav(readFileSync(recording)), levelStepMs).map((level) =>
      Number.isFinite(level) ? Math.round(level * 10) / 10 : null,
    ),
    levelStepMs,
    timelines: readTimelines(timelines),
    ...(telephone ? { telephone } : {}),
  };
}
