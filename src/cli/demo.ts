import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { OffhookError } from '../errors/index.js';
import { renderTimelineText } from '../timeline/index.js';
import type { CallRecord, CallStep, EngineName } from './demo/call-record.js';
import { buildNoiseFilter, noFilter } from './demo/noise-filter.js';
import { type PlayedCall, renderDemoPage, summarize } from './demo/page.js';
import { type PythonAgent, playCall } from './demo/play-call.js';
import { type RoomServer, startRoomServer } from './demo/room-server.js';

interface DemoOptions {
  native?: boolean;
  both?: boolean;
  sip?: boolean;
  /** False without the noise filter that never loads. */
  filter: boolean;
  python?: boolean;
  server?: string;
  out: string;
  /** Seconds. */
  giveUp: number;
}

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A server that somebody else runs, with the keys from the environment that LiveKit's tools read. */
function givenServer(url: string): RoomServer {
  const { LIVEKIT_API_KEY = 'devkey', LIVEKIT_API_SECRET = 'secret' } = process.env;
  return { url, apiKey: LIVEKIT_API_KEY, apiSecret: LIVEKIT_API_SECRET, stop: async () => {} };
}

/** A clone of the repository has both agents; the Python package has the one in Python, and no native engine. */
const hasAgent = (script: string) => existsSync(join(root, 'examples', script));
const inPythonPackage = !hasAgent('agent.mjs') && hasAgent('python/agent.py');

/** What plays the agent of livekit-agents: the Python of OFFHOOK_PYTHON or of .tools/python, and the C library. */
async function pythonAgent(): Promise<PythonAgent> {
  const { OFFHOOK_PYTHON, OFFHOOK_LIBRARY } = process.env;
  // The Python package names its own.
  if (OFFHOOK_PYTHON && OFFHOOK_LIBRARY) return { interpreter: OFFHOOK_PYTHON, library: OFFHOOK_LIBRARY };
  const { python, installPythonTools } = await import(
    pathToFileURL(join(root, 'scripts/python-tools.mjs')).href
  );
  const { buildNative } = await import(pathToFileURL(join(root, 'scripts/build-native.mjs')).href);
  if (!OFFHOOK_PYTHON) installPythonTools();
  return { interpreter: OFFHOOK_PYTHON ?? python, library: buildNative() };
}

function printStep({ atMs, who, what }: CallStep): void {
  console.log(`  ${(atMs / 1_000).toFixed(2).padStart(6)} s  ${who.padEnd(6)}  ${what}`);
}

/** The calls that `folder` holds, the engine that was just played and any played before. */
function playedCalls(folder: string): PlayedCall[] {
  return (['offhook', 'native'] as const)
    .filter((engine) => existsSync(join(folder, `${engine}.json`)))
    .map((engine) => ({
      record: JSON.parse(readFileSync(join(folder, `${engine}.json`), 'utf8')) as CallRecord,
      wav: readFileSync(join(folder, `${engine}.wav`)),
    }));
}

function report(record: CallRecord, folder: string): void {
  writeFileSync(join(folder, `${record.engine}.json`), `${JSON.stringify(record, null, 2)}\n`);
  const page = join(folder, 'index.html');
  writeFileSync(page, renderDemoPage(playedCalls(folder)));
  for (const timeline of record.timelines) console.log(`\n${renderTimelineText(timeline)}`);
  console.log(`\n${summarize(record)}`);
  console.log(`\n  what the caller heard  ${join(folder, `${record.engine}.wav`)}`);
  console.log(`  the whole story        ${pathToFileURL(page)}`);
}

async function demo(options: DemoOptions): Promise<void> {
  if (options.sip && options.server) {
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      '--sip starts its own room server, and --server names another',
      {
        advice: 'Give one of the two.',
      },
    );
  }
  const folder = resolve(options.sip ? join(options.out, 'sip') : options.out);
  if (inPythonPackage) {
    if (options.native || options.both || options.sip) {
      throw new OffhookError(
        'OFFHOOK_NOT_SUPPORTED',
        '--native, --both and --sip are not in the Python package',
        {
          advice: 'Clone the repository and run `npm run demo` in it.',
        },
      );
    }
    options.python = true;
  } else if (!hasAgent('agent.mjs')) {
    throw new OffhookError(
      'OFFHOOK_NOT_SUPPORTED',
      'the demo plays the programs in examples/, which are not here',
      {
        advice: 'Clone the repository and run `npm run demo` in it.',
      },
    );
  }
  mkdirSync(folder, { recursive: true });
  // Leaving by Ctrl-C, or being told to, takes the programs of the scene along.
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  const startedMs = performance.now();
  const onProgress = (line: string) =>
    console.log(`[${((performance.now() - startedMs) / 1_000).toFixed(1)} s] ${line}`);

  const filter = options.filter
    ? buildNoiseFilter(join(root, 'examples/noise-filter/noise_filter.c'), folder)
    : undefined;
  onProgress(`the agent’s noise filter: ${filter?.behaviour ?? noFilter}`);
  const engines: EngineName[] = options.native
    ? ['native']
    : ['offhook', ...(options.both ? ['native' as const] : [])];
  for (const engine of engines) await playOn(engine, { options, folder, filter, onProgress });
}

interface Scene {
  options: DemoOptions;
  folder: string;
  filter: ReturnType<typeof buildNoiseFilter>;
  onProgress: (line: string) => void;
}

async function playOn(engine: EngineName, { options, folder, filter, onProgress }: Scene): Promise<void> {
  const calls = join(folder, `${engine}-calls`);
  if (options.sip) {
    rmSync(calls, { recursive: true, force: true });
    mkdirSync(calls, { recursive: true });
  }
  const server = options.server
    ? givenServer(options.server)
    : await startRoomServer(options.sip ? calls : undefined);
  try {
    onProgress(
      `room server: ${server.url}${options.server ? '' : ' (offhook dev, in a process of its own)'}`,
    );
    const record = await playCall({
      engine,
      server,
      root,
      callerEngine: inPythonPackage ? 'offhook' : 'native',
      folder,
      filter,
      ...(options.python && { python: await pythonAgent() }),
      giveUpMs: options.giveUp * 1_000,
      onProgress,
      onStep: printStep,
    });
    report(record, folder);
    if (engine === 'offhook' && !record.greeted) process.exitCode = 1;
  } finally {
    await server.stop();
  }
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 60) return seconds;
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `"${text}" is not a time to wait`, {
    advice: 'Give a number of seconds up to 60.',
  });
}

function parseUrl(text: string): string {
  if (/^(wss?|https?):$/.test(URL.canParse(text) ? new URL(text).protocol : '')) return text;
  throw new OffhookError('OFFHOOK_INVALID_URL', `"${text}" is not the URL of a server`, {
    advice: 'Give one that begins with ws:// or wss://.',
  });
}

/** `offhook demo`: one call to an agent whose noise filter never loads, seen, heard and explained. */
export function registerDemo(program: Command): void {
  program
    .command('demo')
    .description('play a call to an agent whose noise filter never loads, and show what happened')
    .option('--native', 'put the agent on LiveKit’s native engine instead, to see the difference')
    .option('--both', 'play the call on offhook, then on LiveKit’s native engine')
    .option('--sip', 'call with a real telephone (baresip), and show the messages that it exchanges')
    .option('--no-filter', 'give the agent no noise filter at all, to compare')
    .option('--python', 'play the agent on livekit-agents, for Python')
    .option(
      '--server <url>',
      'use this room server (keys: LIVEKIT_API_KEY, LIVEKIT_API_SECRET), not `offhook dev`',
      parseUrl,
    )
    .option('--give-up <seconds>', 'when the caller hangs up if nobody answers', parseSeconds, 15)
    .option('--out <folder>', 'where the page and the recordings go', 'out/demo')
    .action(demo);
}
