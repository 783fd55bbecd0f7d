import { isIP } from 'node:net';

export type SipProtocol = 'udp' | 'tcp' | 'tls';

export interface SipAddress {
  /** An IP address. */
  address: string;
  port: number;
}

/** Where the next message goes. */
export interface SipTarget extends SipAddress {
  protocol: SipProtocol;
  /** Name that a TLS certificate must be for. */
  serverName?: string;
}

/** A way to a peer and back: one UDP address, or one connection. */
export interface Flow {
  readonly protocol: SipProtocol;
  readonly remote: SipAddress;
  /** Address of this machine that the peer sees or can answer to, with the port that we listen on. */
  readonly local: SipAddress;
  readonly isOpen: boolean;
  /** Sends one message; a failure is reported by `onFailed` and never thrown. */
  send(bytes: Buffer): void;
}

export function isReliable({ protocol }: Pick<Flow, 'protocol'>): boolean {
  return protocol !== 'udp';
}

/** An IPv4 address that a dual-stack socket reports as `::ffff:…`, as IPv4. */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  return mapped ?? address;
}

export function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}
