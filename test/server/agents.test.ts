import { fileURLToPath } from 'node:url';
import { AgentDispatchClient, RoomServiceClient } from 'livekit-server-sdk';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { describeWith } from '../support/parts.js';
import { Program, startParticipant } from '../support/program.js';
import { makeToken } from '../support/token.js';

const agentScript = fileURLToPath(new URL('programs/agent.mjs', import.meta.url));
const keys = { apiKey: 'devkey', apiSecret: 'secret' };

interface Described {
  identity: string;
  attributes: Record<string, string>;
}

describeWith(['native engine'], 'an unmodified @livekit/agents worker', () => {
  let server: RoomServer;
  let programs: Program[] = [];

  beforeAll(async () => {
    server = await startServer({ port: 0 });
  });
  afterEach(async () => {
    await Promise.all(programs.splice(0).map((program) => program.stop()));
  });
  afterAll(() => server.close());

  function startAgent(env: Record<string, string> = {}): Program {
    const { apiKey, apiSecret } = keys;
    const agent = new Program(agentScript, {
      engine: 'native',
      args: ['start'],
      env: { LIVEKIT_URL: server.url, LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret, ...env },
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
      { timeout: 20_000, interval: 100 },
    );
  }

  test('registers, gets a job when a room is opened, and is heard', async () => {
    startAgent();
    const caller = await join('automatic', 'caller');
    const agent = await agentSeenBy(caller);
    expect(agent.attributes.job).toBe('no metadata');
    await caller.waitFor('firstAudible', { identity: agent.identity });
  });

  test('gets its job even when it starts after the caller', async () => {
    const caller = await join('late', 'caller');
    startAgent();
    await agentSeenBy(caller);
  });
});
