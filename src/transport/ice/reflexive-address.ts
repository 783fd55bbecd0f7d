import { randomBytes } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import { OffhookError } from '../../errors/index.js';
import type { StunServer } from './ice-servers.js';
import {
  attributeOf,
  parseXorAddress,
  type StunMessage,
  serializeStun,
  stunAttribute,
  stunMethod,
  type TransportAddress,
} from './stun.js';
import { StunTransactions } from './stun-transactions.js';
import type { UdpLink } from './udp-link.js';

const resendAtMs = [200, 600, 1_400, 3_000];
const answerTimeoutMs = 5_000;
const resolving = { timeout: 1_000, tries: 2 };

/** Asks a STUN server as which address a UDP socket of ours is seen from outside (RFC 8489, section 2). */
export class ReflexiveAddress {
  #transactions: StunTransactions | undefined;
  #resolver = new Resolver(resolving);
  #closed = false;

  constructor(options: {
    link: UdpLink;
    server: StunServer;
    onAddress: (address: TransportAddress) => void;
  }) {
    this.#ask(options.link, options.server).then(
      (address) => address && options.onAddress(address),
      // A server whose name is not known, or that is silent, tells us nothing: host candidates may do without.
      () => {},
    );
  }

  /** Takes a message that came to the socket; false when it is none of this. */
  receive(message: StunMessage): boolean {
    return this.#transactions?.receive(message) ?? false;
  }

  close(): void {
    this.#closed = true;
    this.#resolver.cancel();
    this.#transactions?.close(new OffhookError('OFFHOOK_CLOSED', 'the search for a path is over'));
  }

  async #ask(link: UdpLink, { hostname, port }: StunServer): Promise<TransportAddress | undefined> {
    const [address] = isIPv4(hostname) ? [hostname] : await this.#resolver.resolve4(hostname);
    if (this.#closed || address === undefined) return undefined;
    const path = link.pathTo({ address, port });
    this.#transactions = new StunTransactions({
      send: (packet) => path.send(packet),
      resendAtMs,
      timeoutMs: answerTimeoutMs,
      name: `the STUN server ${hostname}`,
    });
    const transactionId = randomBytes(12);
    const request = { class: 'request' as const, method: stunMethod.binding, transactionId, attributes: [] };
    const response = await this.#transactions.request(transactionId, serializeStun(request));
    const mapped = attributeOf(response, stunAttribute.xorMappedAddress);
    return this.#closed || !mapped ? undefined : parseXorAddress(mapped, transactionId);
  }
}
