import { EventEmitter, once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { LeaveRequest, SignalRequest } from '@livekit/protocol';
import { expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { RequestBudget } from '../../src/server/request-budget.js';
import { SignalSocket } from '../../src/server/signal-socket.js';
import { Turns } from '../../src/server/turns.js';
import { WorkMeter } from '../../src/server/work-meter.js';

test('a client that leaves and closes has left, also when its turn has not come yet', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  try {
    await once(server, 'listening');
    const happened: string[] = [];
    // A server so busy that nobody's turn comes.
    const turns = { request: () => {} } as unknown as Turns;
    const closed = new Promise<void>((resolve) => {
      server.once('connection', (socket) => {
        new SignalSocket('ada', socket, {
          turns,
          announced: new RequestBudget(1_000, 1_000, 0),
          work: WorkMeter.forRequests(),
          onRequest: ({ case: kind }) => happened.push(kind ?? 'unknown'),
          onClose: () => {
            happened.push('closed');
            resolve();
          },
        });
      });
    });
    const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await once(client, 'open');
    const leave = new SignalRequest({ message: { case: 'leave', value: new LeaveRequest() } });
    client.send(leave.toBinary());
    client.close();
    await closed;
    expect(happened).toEqual(['leave', 'closed']);
  } finally {
    server.close();
  }
});

test('closing a connection again adds neither a timer nor a listener', () => {
  const socket = Object.assign(new EventEmitter(), {
    readyState: WebSocket.OPEN,
    resume() {},
    close() {},
    terminate() {
      socket.emit('close');
    },
  });
  const signal = new SignalSocket('ada', socket as unknown as WebSocket, {
    turns: new Turns(),
    announced: new RequestBudget(1_000, 1_000, 0),
    work: WorkMeter.forRequests(),
    onRequest: () => {},
    onClose: () => {},
  });
  signal.close();
  const listeners = socket.listenerCount('close');
  for (let calls = 0; calls < 100; calls++) signal.close();
  expect(socket.listenerCount('close')).toBe(listeners);
  signal.terminate();
});
