import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll } from 'vitest';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith, type Part } from '../support/parts.js';
import { type Engine, type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';

/** The two servers that every scene is played on: LiveKit's own, and `offhook dev`. */
export type ServerKind = 'livekit-server' | 'offhook dev';

interface StartedServer {
  url: string;
  apiKey: string;
  apiSecret: string;
  stop(): Promise<void>;
}

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Starts `offhook dev` in a process of its own on a free port; resolves with the URL that it prints. */
async function startDevServer(): Promise<StartedServer> {
  const child = spawn(process.execPath, [cli, 'dev', '--port', '0', '--log', 'warn'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<never>((_resolve, reject) =>
    child.once('exit', (code) => reject(new Error(`offhook dev ended with ${code}`))),
  );
  const url = new Promise<string>((resolve) =>
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /ws:\/\/[\w.[\]:]+/.exec(line);
      if (found) resolve(found[0]);
    }),
  );
  return {
    url: await Promise.race([url, ended]),
    apiKey: 'devkey',
    apiSecret: 'secret',
    stop: async () => {
      ended.catch(() => {});
      child.kill('SIGTERM');
      await ended.catch(() => {});
    },
  };
}

/** What a test has at hand while a scene is played. */
export class Stage {
  server!: StartedServer;
  #participants: Program[] = [];

  async open(kind: ServerKind): Promise<void> {
    this.server = kind === 'livekit-server' ? await startLivekitServer() : await startDevServer();
  }

  async close(): Promise<void> {
    await Promise.all(this.#participants.map((participant) => participant.stop()));
    await this.server?.stop();
  }

  /** A room name that nobody has used. */
  newRoom(): string {
    return `room-${randomUUID().slice(0, 8)}`;
  }

  /** Starts a participant on `engine`, which is in no room yet. */
  async start(
    engine: Engine,
    language: 'node' | 'python' = 'node',
    env: Record<string, string> = {},
  ): Promise<Program> {
    const participant = startParticipant(engine, env, language);
    this.#participants.push(participant);
    await participant.waitFor('started');
    return participant;
  }

  /** Lets a participant join `room`. */
  async enter(participant: Program, room: string, identity: string, args: Record<string, unknown> = {}) {
    const token = await makeToken(this.server, room, identity);
    await participant.call('connect', { url: this.server.url, token, ...args });
  }

  /** Starts a participant on `engine` and joins `room`. */
  async join(
    engine: Engine,
    room: string,
    identity: string,
    args: Record<string, unknown> = {},
    language: 'node' | 'python' = 'node',
  ): Promise<Program> {
    const participant = await this.start(engine, language);
    await this.enter(participant, room, identity, args);
    return participant;
  }

  /** Ends every participant of the scene that was just played. */
  async clear(): Promise<void> {
    await Promise.all(this.#participants.splice(0).map((participant) => participant.stop()));
  }
}

const partsOf: Record<ServerKind, Part[]> = { 'livekit-server': ['livekit-server'], 'offhook dev': [] };

/** Plays scenes against each server, with the server started once for all of them. */
export function describeOnServers(title: string, body: (stage: Stage, kind: ServerKind) => void): void {
  for (const kind of ['livekit-server', 'offhook dev'] as const) {
    describeWith(partsOf[kind], `${title}, on ${kind}`, () => {
      const stage = new Stage();
      beforeAll(() => stage.open(kind));
      afterAll(() => stage.close());
      body(stage, kind);
    });
  }
}
