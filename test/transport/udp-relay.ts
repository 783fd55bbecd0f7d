import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

export interface UdpRelay {
  /** A host candidate for the relay's front. */
  candidate: string;
  /** Whether a packet goes on; all of them at first. */
  passes: (packet: Buffer, to: 'server' | 'client') => boolean;
  /** How long a packet that goes on is held back; not at all at first. */
  heldMs: (packet: Buffer, to: 'server' | 'client') => number;
  close(): void;
}

/** Stands before a UDP port of this machine, for one client, as a network that can be broken. */
export async function startUdpRelay(port: number): Promise<UdpRelay> {
  const front = createSocket('udp4');
  const back = createSocket('udp4');
  let closed = false;
  const pass = (packet: Buffer, to: 'server' | 'client', send: () => void) => {
    if (!relay.passes(packet, to)) return;
    const heldMs = relay.heldMs(packet, to);
    if (heldMs <= 0) send();
    else setTimeout(() => closed || send(), heldMs);
  };
  let client: { address: string; port: number } | undefined;
  const relay: UdpRelay = {
    candidate: '',
    passes: () => true,
    heldMs: () => 0,
    close: () => {
      closed = true;
      front.close();
      back.close();
    },
  };
  front.on('message', (packet, from) => {
    client = from;
    pass(packet, 'server', () => back.send(packet, port, '127.0.0.1'));
  });
  back.on('message', (packet) => {
    pass(packet, 'client', () => client && front.send(packet, client.port, client.address));
  });
  front.bind(0, '127.0.0.1');
  back.bind(0, '127.0.0.1');
  await Promise.all([once(front, 'listening'), once(back, 'listening')]);
  const { port: frontPort } = front.address() as AddressInfo;
  relay.candidate = `candidate:1 1 UDP 2130706431 127.0.0.1 ${frontPort} typ host`;
  return relay;
}
