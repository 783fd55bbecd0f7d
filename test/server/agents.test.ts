import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { describeWith } from '../support/parts.js';
import { Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';

const agentScript = fileURLToPath(new URL('programs/agent.mjs', import.meta.url));
// A worker loads models and forks its processes before it registers.
const startTimeoutMs = 60_000;
const testTimeoutMs = 90_000;
const keys = { apiKey: 'devkey', apiSecret: 'secret' };

/** A port for the worker's health page, which cannot choose one itself. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

interface Described {
  identity: string;
  attributes: Record<string, string>;
}

describeWith(['native engine'], 'an unmodified @livekit/agents worker', () => {
  let server: RoomServer;
  const programs: Program[] = [];

  beforeAll(async () => {
    server = await startServer({ port: 0 });
  });
  afterEach(async () => {
    await Promise.all(programs.splice(0).map((program) => program.stop()));
  });
  afterAll(() => server.close());

  async function startAgent(env: Record<string, string> = {}): Promise<Program> {
    const { apiKey, apiSecret } = keys;
    const port = String(await freePort());
    const agent = new Program(agentScript, {
      engine: 'native',
      args: ['start'],
      env: {
        LIVEKIT_URL: server.url,
        LIVEKIT_API_KEY: apiKey,
        LIVEKIT_API_SECRET: apiSecret,
        AGENT_PORT: port,
        ...env,
      },
    });
    programs.push(agent);
    return agent;
  }

  async function join(room: string, identity: string): Promise<Program> {
    const caller = startParticipant('native');
    programs.push(caller);
    const token = await makeToken({ url: server.url, ...keys }, room, identity);
    await caller.call('connect', { url: server.url, token });
    return caller;
  }

  async function agentSeenBy(caller: Program): Promise<Described> {
    return vi.waitFor(
      async () => {
        const others = await caller.call<Described[]>('participants');
        const agent = others.find(({ attributes }) => attributes.job !== undefined);
        expect(agent).toBeDefined();
        return agent!;
      },
      { timeout: startTimeoutMs, interval: 100 },
    );
  }

  test(
    'registers, gets a job when a room is opened, and is heard',
    async () => {
      await startAgent();
      const caller = await join('automatic', 'caller');
      const agent = await agentSeenBy(caller);
      expect(agent.attributes.job).toBe('no metadata');
      await caller.waitFor('firstAudible', { identity: agent.identity });
    },
    testTimeoutMs,
  );

  test(
    'gets its job even when it starts after the caller',
    async () => {
      const caller = await join('late', 'caller');
      await startAgent();
      await agentSeenBy(caller);
    },
    testTimeoutMs,
  );
});
