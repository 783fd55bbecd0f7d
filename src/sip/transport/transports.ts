import { isIPv6 } from 'node:net';
import type { TlsOptions } from 'node:tls';
import { OffhookError } from '../../errors/index.js';
import { localAddressTowards } from '../../transport/index.js';
import { limits } from '../limits.js';
import type { Flow, SipAddress, SipProtocol, SipTarget } from './flow.js';
import { StreamListener } from './streams.js';
import { UdpListener } from './udp.js';

export interface TransportOptions {
  /** Address to listen on. */
  host: string;
  /** Port of UDP and TCP; 0 takes a free one. */
  port: number;
  /** TLS is listened for as well, on a port of its own. */
  tls?: TlsOptions & { port: number };
  /** Trusted by outgoing TLS connections besides the usual authorities; false trusts any certificate. */
  trust?: string | Buffer | false;
  /** Address that peers see, where it is not one of this machine (behind a NAT with a forwarded port). */
  externalAddress?: string;
  onMessage(bytes: Buffer, flow: Flow): void;
  onFlowClosed(flow: Flow): void;
}

const maxPortAttempts = 10;

/** Every socket that SIP messages come and go by. */
export class Transports {
  readonly #options: TransportOptions;
  #udp!: UdpListener;
  #tcp!: StreamListener;
  #tls: StreamListener | undefined;
  /** Our own address towards another, when we listen on all of them. */
  readonly #localAddresses = new Map<string, string>();

  private constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** @throws OffhookError `OFFHOOK_UNREACHABLE` */
  static async open(options: TransportOptions): Promise<Transports> {
    for (let attempt = 1; ; attempt++) {
      const transports = new Transports(options);
      try {
        await transports.#listen();
        return transports;
      } catch (error) {
        await transports.close();
        // A free UDP port may be taken for TCP; another one may not.
        if (options.port !== 0 || attempt === maxPortAttempts) throw error;
      }
    }
  }

  /** Port of UDP and TCP. */
  get port(): number {
    return this.#udp.port;
  }

  get tlsPort(): number | undefined {
    return this.#tls?.port;
  }

  portOf(protocol: SipProtocol): number {
    return protocol === 'tls' ? (this.#tls?.port ?? this.port) : this.port;
  }

  udpFlowTo(remote: SipAddress): Flow {
    return this.#udp.flowTo(remote);
  }

  /**
   * @throws OffhookError `OFFHOOK_UNREACHABLE` when no connection can be made, `OFFHOOK_NOT_SUPPORTED` for TLS when none is
   * configured
   */
  async flowTo(target: SipTarget): Promise<Flow> {
    if (isIPv6(target.address) !== isIPv6(this.#options.host)) {
      throw new OffhookError(
        'OFFHOOK_UNREACHABLE',
        `SIP messages cannot be sent from ${this.#options.host} to ${target.address}`,
      );
    }
    this.#learnLocalAddress(target);
    if (target.protocol === 'udp') return this.#udp.flowTo(target);
    if (target.protocol === 'tcp') return this.#tcp.flowTo(target);
    if (this.#tls) return this.#tls.flowTo(target);
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'SIP over TLS needs a certificate of the gateway', {
      advice: 'Give --sip-tls-cert and --sip-tls-key.',
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.#udp?.close(), this.#tcp?.close(), this.#tls?.close()]);
  }

  async #listen(): Promise<void> {
    const { host, port, tls, trust, onMessage, onFlowClosed } = this.#options;
    const handlers = { host, onMessage, onClosed: onFlowClosed };
    this.#udp = await UdpListener.open({
      host,
      port,
      onDatagram: (bytes, flow) => {
        this.#learnLocalAddress(flow.remote);
        onMessage(bytes, flow);
      },
      localFor: (remote) => this.#localFor(remote, 'udp'),
    });
    this.#tcp = await StreamListener.open({
      ...handlers,
      protocol: 'tcp',
      port: this.#udp.port,
      localFor: (remote) => this.#localFor(remote, 'tcp'),
    });
    if (!tls) return;
    this.#tls = await StreamListener.open({
      ...handlers,
      protocol: 'tls',
      port: tls.port,
      tls,
      ...(trust === undefined ? {} : { trust }),
      localFor: (remote) => this.#localFor(remote, 'tls'),
    });
  }

  #localFor(remote: string, protocol: SipProtocol): SipAddress {
    const { host, externalAddress } = this.#options;
    const address = externalAddress ?? this.#localAddresses.get(remote) ?? host;
    return { address, port: this.portOf(protocol) };
  }

  /** Listening on every address, which one a peer reaches us by is what the routing table says. */
  #learnLocalAddress({ address, port }: SipAddress): void {
    const { host, externalAddress } = this.#options;
    const listensOnAll = host === '0.0.0.0' || host === '::';
    if (!listensOnAll || externalAddress !== undefined || this.#localAddresses.has(address)) return;
    if (this.#localAddresses.size >= limits.localAddresses.value) this.#localAddresses.clear();
    const loopback = isIPv6(address) ? '::1' : '127.0.0.1';
    this.#localAddresses.set(address, localAddressTowards({ address, port }) ?? loopback);
  }
}
