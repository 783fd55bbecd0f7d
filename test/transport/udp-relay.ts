import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface UdpRelay {
  /** A host candidate for the relay's front. */
  candidate: string;
  /** Whether a packet goes on; all of them at first. */
  passes: (packet: Buffer, to: 'server' | 'client') => boolean;
  close(): void;
}

/** Stands before a UDP port of this machine, for one client, as a network that can be broken. */
export async function startUdpRelay(port: number): Promise<UdpRelay> {
  const front = createSocket('udp4');
  const back = createSocket('udp4');
  let client: { address: string; port: number } | undefined;
  const relay: UdpRelay = {
    candidate: '',
    passes: () => true,
    close: () => {
      front.close();
      back.close();
    },
  };
  front.on('message', (packet, from) => {
    client = from;
    if (relay.passes(packet, 'server')) back.send(packet, port, '127.0.0.1');
  });
  back.on('message', (packet) => {
    if (client && relay.passes(packet, 'client')) front.send(packet, client.port, client.address);
  });
  front.bind(0, '127.0.0.1');
  back.bind(0, '127.0.0.1');
  await Promise.all([once(front, 'listening'), once(back, 'listening')]);
  const { port: frontPort } = front.address() as AddressInfo;
  relay.candidate = `candidate:1 1 UDP 2130706431 127.0.0.1 ${frontPort} typ host`;
  return relay;
}
