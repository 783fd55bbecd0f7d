import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RoomServiceClient } from 'livekit-server-sdk';
import { afterEach, expect, test } from 'vitest';
import { Baresip } from '../support/baresip.js';
import { freeTcpPort, startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { type Engine, Program } from '../support/program.mjs';
import { audiblePart, dominantFrequencyHz, makeTone } from '../support/tone.js';
import { endsWith } from './called-phone.js';
import { CallingPhone } from './calling-phone.js';
import { devKeys, GatewayHouse } from './gateway-house.js';
import { until } from './until.js';

const agentScript = fileURLToPath(new URL('programs/phone-agent.mjs', import.meta.url));
const commandLine = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const startMs = 40_000;

interface Server {
  url: string;
  apiKey: string;
  apiSecret: string;
}

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** The unmodified agent on one engine, ready for a call. */
async function startAgent(engine: Engine, server: Server, name = ''): Promise<Program> {
  const agent = new Program(agentScript, {
    engine,
    args: ['start'],
    env: {
      LIVEKIT_URL: server.url,
      LIVEKIT_API_KEY: server.apiKey,
      LIVEKIT_API_SECRET: server.apiSecret,
      AGENT_NAME: name,
      AGENT_PORT: String(await freeTcpPort()),
    },
  });
  closing.push(() => agent.stop());
  await until(
    () => agent.output.some((line) => line.includes('registered worker')),
    'the agent waits',
    startMs,
  );
  return agent;
}

/** Attributes of the agent in the only room that there is; empty as long as there is none. */
function watchAgent({ url, apiKey, apiSecret }: Server): {
  attributes: Record<string, string>;
  stop(): void;
} {
  const rooms = new RoomServiceClient(url.replace('ws', 'http'), apiKey, apiSecret);
  const watched = { attributes: {} as Record<string, string>, stop: () => clearInterval(timer) };
  const look = async () => {
    const [room] = await rooms.listRooms();
    const present = room ? await rooms.listParticipants(room.name) : [];
    const agent = present.find(({ attributes }) => attributes.caller !== undefined);
    if (agent) watched.attributes = agent.attributes;
  };
  const timer = setInterval(() => void look().catch(() => {}), 100);
  closing.push(watched.stop);
  return watched;
}

describeWith(['livekit-server', 'baresip', 'native engine'], 'a gateway beside livekit-server', () => {
  test.each<Engine>(['offhook', 'native'])(
    'with trunks and rules from a file brings a telephone to an unmodified agent, on the engine %s',
    async (engine) => {
      const livekit = await startLivekitServer();
      closing.push(() => livekit.stop());
      const folder = mkdtempSync(join(tmpdir(), 'offhook-sip-config-'));
      closing.push(() => rmSync(folder, { recursive: true, force: true }));
      const file = join(folder, 'sip.json');
      const rule = { dispatchRuleIndividual: { roomPrefix: 'desk' } };
      const roomConfig = { agents: [{ agentName: 'receptionist' }] };
      writeFileSync(
        file,
        JSON.stringify({
          inboundTrunks: [{ sipTrunkId: 'ST_provider', numbers: ['+4930222'] }],
          dispatchRules: [{ rule, trunkIds: ['ST_provider'], attributes: { team: 'blue' }, roomConfig }],
        }),
      );
      const gateway = new Program(commandLine, {
        engine: 'native',
        args: [
          ...['sip', '--url', livekit.url, '--api-key', livekit.apiKey, '--api-secret', livekit.apiSecret],
          ...['--sip-port', '0', '--sip-config', file],
        ],
      });
      closing.push(() => gateway.stop());
      const port = () =>
        gateway.output.map((line) => /sip:anything@[\d.]+:(\d+)/.exec(line)?.[1]).find(Boolean);
      await until(() => port() !== undefined, 'the gateway listens');
      await startAgent(engine, livekit, 'receptionist');
      const agent = watchAgent(livekit);
      const phone = await Baresip.start({
        account: 'sip:+4930333@127.0.0.1',
        says: makeTone(440, 30_000, 8_000, -12),
        codecs: 'pcmu',
      });
      closing.push(() => phone.stop());

      phone.dial(`sip:+4930222@127.0.0.1:${port()}`);
      await until(() => phone.log.includes('200 OK'), 'the call is answered', startMs);
      await until(() => agent.attributes.status === 'active', 'the agent sees that');
      phone.press('5');
      await until(() => agent.attributes.digit === '5', 'the agent is told of keys');
      expect(agent.attributes.isSip).toBe('true');
      expect(JSON.parse(agent.attributes.caller!)).toMatchObject({
        'sip.callID': expect.stringMatching(/^SCL_/),
        'sip.phoneNumber': '+4930333',
        'sip.trunkPhoneNumber': '+4930222',
        'sip.trunkID': 'ST_provider',
        'sip.ruleID': expect.stringMatching(/^SDR_/),
        'sip.hostname': '127.0.0.1',
        team: 'blue',
      });
      phone.hangUp();
      const { url, apiKey, apiSecret } = livekit;
      const rooms = new RoomServiceClient(url.replace('ws', 'http'), apiKey, apiSecret);
      let left = 1;
      const look = async () => {
        left = (await rooms.listRooms()).length;
      };
      const timer = setInterval(() => void look().catch(() => {}), 100);
      await until(() => left === 0, 'the room is gone').finally(() => clearInterval(timer));
      expect(dominantFrequencyHz(audiblePart(phone.heard()))).toBeCloseTo(1_000, -1);
    },
    120_000,
  );
});

describeWith(['native engine'], 'an unmodified agent', () => {
  test.each<Engine>(['offhook', 'native'])(
    'sees its caller’s attributes and keys, and puts the caller through, on the engine %s',
    async (engine) => {
      const house = await GatewayHouse.open();
      closing.push(() => house.close());
      const server = { url: house.server.url, ...devKeys };
      await startAgent(engine, server);
      const agent = watchAgent(server);
      const phone = await CallingPhone.open();
      closing.push(() => phone.close());
      await phone.dial(`sip:1234@127.0.0.1:${house.gateway.port}`);
      await until(() => phone.session !== undefined, 'the call is answered', startMs);
      await until(() => endsWith(phone.heard, 8_000, 1_000), 'the caller hears the agent');
      await until(() => agent.attributes.status === 'active', 'the agent sees the answer');
      expect(agent.attributes.isSip).toBe('true');
      expect(JSON.parse(agent.attributes.caller!)).toMatchObject({ 'sip.trunkPhoneNumber': '1234' });
      let target: string | undefined;
      phone.session!.onRefer = (to, report) => {
        target = to;
        report(200, 'OK', true);
        return 202;
      };
      phone.press('9');
      await until(() => target === 'tel:+4940555', 'the phone is told whom to call');
      await house.quiet();
    },
    120_000,
  );
});
