import { randomBytes } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import type { UdpLink } from './ice-link.js';
import {
  attributeOf,
  parseStun,
  parseXorAddress,
  serializeStun,
  stunAttribute,
  stunMethod,
  type TransportAddress,
} from './stun.js';

const sendAtMs = [0, 200, 600, 1_400, 3_000];
const resolving = { timeout: 1_000, tries: 2 };

/** Asks a STUN server as which address a UDP socket of ours is seen from outside (RFC 8489, section 2). */
export class ReflexiveAddress {
  #transactionId = randomBytes(12);
  #link: UdpLink;
  #onAddress: (address: TransportAddress) => void;
  #resolver = new Resolver(resolving);
  #timers: NodeJS.Timeout[] = [];
  #closed = false;

  constructor(options: {
    link: UdpLink;
    server: { hostname: string; port: number };
    onAddress: (address: TransportAddress) => void;
  }) {
    this.#link = options.link;
    this.#onAddress = options.onAddress;
    void this.#ask(options.server);
  }

  /** Takes a packet that came to the socket; false when it is none of this. */
  receive(packet: Buffer): boolean {
    if (this.#closed) return false;
    const message = parseStun(packet);
    if (message?.class !== 'success' || !message.transactionId.equals(this.#transactionId)) return false;
    const mapped = attributeOf(message, stunAttribute.xorMappedAddress);
    const address = mapped && parseXorAddress(mapped, message.transactionId);
    this.close();
    if (address) this.#onAddress(address);
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#resolver.cancel();
    for (const timer of this.#timers) clearTimeout(timer);
  }

  async #ask({ hostname, port }: { hostname: string; port: number }): Promise<void> {
    // A server whose name is not known, or that is silent, tells us nothing: host candidates may do without.
    const addresses = isIPv4(hostname) ? [hostname] : await this.#resolver.resolve4(hostname).catch(() => []);
    const [address] = addresses;
    if (this.#closed || address === undefined) return;
    const packet = serializeStun({
      class: 'request',
      method: stunMethod.binding,
      transactionId: this.#transactionId,
      attributes: [],
    });
    const path = this.#link.pathTo({ address, port });
    this.#timers = sendAtMs.map((delayMs) => setTimeout(() => path.send(packet), delayMs).unref());
  }
}
