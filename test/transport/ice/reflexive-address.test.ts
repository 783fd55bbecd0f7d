import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { ReflexiveAddress } from '../../../src/transport/ice/reflexive-address.js';
import {
  parseStun,
  serializeStun,
  stunAttribute,
  stunMethod,
  type TransportAddress,
  xorAddress,
} from '../../../src/transport/ice/stun.js';
import { openUdpLink, type UdpLink } from '../../../src/transport/ice/udp-link.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A STUN server that says nothing to the first `deafTo` requests. */
async function startStunServer(deafTo: number): Promise<{ port: number; requests: Buffer[] }> {
  const socket = createSocket('udp4');
  const requests: Buffer[] = [];
  socket.on('message', (packet, from) => {
    requests.push(packet);
    const { transactionId } = parseStun(packet)!;
    const mapped = { type: stunAttribute.xorMappedAddress, value: xorAddress(from, transactionId) };
    const answer = { class: 'success' as const, method: stunMethod.binding, transactionId };
    if (requests.length > deafTo)
      socket.send(serializeStun({ ...answer, attributes: [mapped] }), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  closers.push(() => socket.close());
  return { port: socket.address().port, requests };
}

function ask(port: number): { link: UdpLink; seen: Promise<TransportAddress>; reflexive: ReflexiveAddress } {
  let tell = (_: TransportAddress): void => {};
  const seen = new Promise<TransportAddress>((resolve) => {
    tell = resolve;
  });
  const link = openUdpLink({
    family: 4,
    bindAddress: '127.0.0.1',
    onPacket: (_, packet) => {
      const message = parseStun(packet);
      return message !== undefined && reflexive.receive(message);
    },
  });
  const server = { hostname: '127.0.0.1', port };
  const reflexive = new ReflexiveAddress({ link, server, onAddress: (address) => tell(address) });
  closers.push(
    () => reflexive.close(),
    () => link.close(),
  );
  return { link, seen, reflexive };
}

test('a STUN server tells the address of the socket that asked', async () => {
  const { port } = await startStunServer(0);
  const { link, seen } = ask(port);
  expect(await seen).toEqual({ address: '127.0.0.1', port: link.port });
});

test('a question that is lost is asked again, the same', async () => {
  const { port, requests } = await startStunServer(2);
  const { seen } = ask(port);
  await seen;
  expect(requests).toHaveLength(3);
  expect(requests[2]).toEqual(requests[0]);
});
