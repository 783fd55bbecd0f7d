import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RoomAgentDispatch, RoomConfiguration } from '@livekit/protocol';
import { AccessToken, AgentDispatchClient, RoomServiceClient } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { SignalPeer } from '../server/signal-peer.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

describe('offhook dev', () => {
  let server: ChildProcess;
  let url = '';
  let log = '';

  beforeAll(async () => {
    const { LIVEKIT_API_KEY, LIVEKIT_API_SECRET, OFFHOOK_LOG, ...environment } = process.env;
    const env = { ...environment, LIVEKIT_API_KEY: 'mine', LIVEKIT_API_SECRET: 'a-secret-of-my-own' };
    server = spawn(process.execPath, [main, 'dev', '--port', '0'], { env });
    server.stderr?.on('data', (chunk) => {
      log += String(chunk);
    });
    server.stdout?.on('data', (chunk) => {
      url ||= /Room server +(ws:\S+)/.exec(String(chunk))?.[1] ?? '';
    });
    await vi.waitFor(() => expect(url).not.toBe(''), 20_000);
  });
  afterAll(() => server?.kill('SIGKILL'));

  const refusedAt = async (path: string, token: string): Promise<string> => {
    const socket = new WebSocket(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
    return new Promise((resolve) => {
      socket.on('unexpected-response', (_, response) => {
        response.on('data', (body) => resolve(String(body)));
      });
      socket.on('error', () => {});
    });
  };

  test('takes its key and secret from the environment, and logs why a worker is refused, without its token', async () => {
    const access = new AccessToken('mine', 'the-wrong-secret-of-a-worker', { identity: 'worker' });
    access.addGrant({ agent: true });
    const token = await access.toJwt();
    expect(await refusedAt('/agent', token)).toContain('signed with another secret');
    await vi.waitFor(() =>
      expect(log).toMatch(/info +server\/http: a worker at 127\.0\.0\.1 is refused: 401 .*another secret/),
    );
    const unknown = new AccessToken('theirs', 'the-wrong-secret-of-a-worker', { identity: 'ada' });
    unknown.addGrant({ roomJoin: true, room: 'kitchen' });
    await refusedAt('/rtc', await unknown.toJwt());
    await vi.waitFor(() =>
      expect(log).toMatch(/a client of \/rtc at 127\.0\.0\.1 is refused: 401 invalid API key: theirs/),
    );
    expect(log).not.toContain(token);
    expect(log).not.toContain('eyJ');
  });

  test('logs once that a job waits for a worker', async () => {
    const access = new AccessToken('mine', 'a-secret-of-my-own', { identity: 'ada' });
    access.addGrant({ roomJoin: true, room: 'kitchen' });
    access.roomConfig = new RoomConfiguration({ agents: [new RoomAgentDispatch({ agentName: 'cook' })] });
    const peer = await SignalPeer.open(url, await access.toJwt());
    await peer.next('join');
    await vi.waitFor(() =>
      expect(log).toMatch(
        /room=kitchen job=AJ_\w+: the job waits for agent "cook": no worker of it is registered/,
      ),
    );
    const http = url.replace('ws', 'http');
    const dispatches = new AgentDispatchClient(http, 'mine', 'a-secret-of-my-own');
    await dispatches.createDispatch('kitchen', 'waiter');
    await vi.waitFor(() => expect(log).toMatch(/waits for agent "waiter"/));
    expect(log.match(/waits for agent "cook"/g)).toHaveLength(1);
    await new RoomServiceClient(http, 'mine', 'a-secret-of-my-own').deleteRoom('kitchen');
    await vi.waitFor(() => expect(log).toMatch(/room=kitchen identity=ada: left/));
  });

  test('refuses a log level in the environment that does not exist', () => {
    const env = { ...process.env, OFFHOOK_LOG: 'loud' };
    const { status, stderr } = spawnSync(process.execPath, [main, 'dev', '--port', '0'], {
      env,
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect(stderr).toMatch(/"loud" is not a log level.*Give one of error, warn, info, debug/);
    expect(status).toBe(2);
  });
});
