import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { JoinResponse } from '@livekit/protocol';
import { AccessToken } from 'livekit-server-sdk';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { InProcess } from '../ffi/in-process.js';
import { say } from '../signal/fake-server.js';
import { Room } from '../support/engine.js';

let asked: number;
let refusals: { status: string; count: number };
let url: string;
/** Whether the server takes the WebSocket and says nothing. */
let isMute: boolean;
let close: () => void;

beforeEach(async () => {
  asked = 0;
  isMute = false;
  const http = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  http.on('upgrade', (request, socket, head) => {
    asked++;
    if (asked <= refusals.count) {
      socket.end(`HTTP/1.1 ${refusals.status}\r\nContent-Length: 2\r\n\r\nno`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      if (isMute) return;
      const value = new JoinResponse({
        participant: { sid: 'PA_me', identity: 'me' },
        room: { name: 'room' },
      });
      say(webSocket, { case: 'join', value });
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
  close = () => {
    for (const socket of sockets.clients) socket.terminate();
    http.closeAllConnections();
    http.close();
  };
});
afterEach(() => close());

async function token(): Promise<string> {
  const access = new AccessToken('key', 'secret', { identity: 'me' });
  access.addGrant({ roomJoin: true, room: 'room' });
  return access.toJwt();
}

async function join(joinRetries: number): Promise<Room> {
  const room = new Room();
  await room.connect(url, await token(), { iceServers: [], joinRetries });
  return room;
}

it('joins at a later try when the server is overloaded at first', async () => {
  refusals = { status: '503 Service Unavailable', count: 2 };
  await expect(join(0)).rejects.toMatchObject({ code: 'OFFHOOK_SERVER_REFUSED' });
  asked = 0;
  const room = await join(2);
  expect(asked).toBe(3);
  await room.disconnect();
});

it('does not try again with a token that is refused', async () => {
  refusals = { status: '401 Unauthorized', count: 10 };
  await expect(join(2)).rejects.toMatchObject({ code: 'OFFHOOK_UNAUTHORIZED' });
  expect(asked).toBe(1);
});

it('does not try again after a deadline', async () => {
  refusals = { status: '', count: 0 };
  isMute = true;
  const connecting = new Room().connect(url, await token(), {
    iceServers: [],
    joinRetries: 2,
    deadlines: { join: 100 },
  });
  await expect(connecting).rejects.toMatchObject({ code: 'OFFHOOK_DEADLINE', stage: 'join' });
  expect(asked).toBe(1);
});

it('tries as often as a connect request asks', async () => {
  refusals = { status: '503 Service Unavailable', count: 2 };
  const ffi = new InProcess();
  const connect = async (options: { joinRetries?: number }) => {
    asked = 0;
    const { asyncId } = ffi.request({ case: 'connect', value: { url, token: await token(), options } });
    const { message } = await ffi.waitFor('connect', (value) => value.asyncId === asyncId);
    return { outcome: message.case, asked };
  };
  expect(await connect({ joinRetries: 1 })).toEqual({ outcome: 'error', asked: 2 });
  expect(await connect({ joinRetries: 2 })).toEqual({ outcome: 'result', asked: 3 });
  await ffi.dispose();
});
