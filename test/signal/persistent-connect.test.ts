import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { connectPersistently } from '../../src/signal/persistent-connect.js';

let server: Server | undefined;
afterEach(() => server?.close());

async function listen(): Promise<number> {
  server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('an address that answers is connected to once', async () => {
  const port = await listen();
  let connections = 0;
  server?.on('connection', () => connections++);
  const arrived = once(server!, 'connection');
  const socket = await connectPersistently({ host: '127.0.0.1', port }, new AbortController().signal);
  await arrived;
  expect(connections).toBe(1);
  const closed = once(socket, 'close');
  socket.destroy();
  await closed;
});

test('a refusal ends it at once', async () => {
  const port = await listen();
  const closed = once(server!, 'close');
  server!.close();
  await closed;
  const refused = connectPersistently({ host: '127.0.0.1', port }, new AbortController().signal);
  await expect(refused).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('aborting ends it with the reason', async () => {
  const port = await listen();
  const controller = new AbortController();
  const connecting = connectPersistently({ host: '127.0.0.1', port }, controller.signal);
  controller.abort(new Error('cancelled'));
  await expect(connecting).rejects.toThrow('cancelled');
});
