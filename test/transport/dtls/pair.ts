import type { OffhookError } from '../../../src/errors/index.js';
import { type Certificate, generateCertificate } from '../../../src/transport/certificate.js';
import { DtlsConnection, type DtlsOptions, type DtlsResult } from '../../../src/transport/dtls/index.js';

/** One of ours with everything that it reported. */
export interface Side {
  connection: DtlsConnection;
  certificate: Certificate;
  connected: DtlsResult[];
  connectedMs: number | undefined;
  data: string[];
  closed: (OffhookError | undefined)[];
  /** Every datagram that it sent. */
  sent: Buffer[];
}

/** What becomes of a datagram on its way: the delays after which copies of it arrive; none where it is lost. */
export type Link = (datagram: Buffer, from: 'client' | 'server') => readonly number[];

const certificates = { client: generateCertificate('client'), server: generateCertificate('server') };

/** Two of ours on a link, on a clock that the test moves. */
export class Pair {
  nowMs = 1_000;
  readonly client: Side;
  readonly server: Side;
  #link: Link;
  #onTheWay: { atMs: number; order: number; to: Side; datagram: Buffer }[] = [];
  #order = 0;

  constructor(
    link: Link = () => [10],
    options: { client?: Partial<DtlsOptions>; server?: Partial<DtlsOptions> } = {},
  ) {
    this.#link = link;
    this.client = this.#side('client', certificates.client, certificates.server, options.client);
    this.server = this.#side('server', certificates.server, certificates.client, options.server);
  }

  start(): this {
    this.server.connection.start(this.nowMs);
    this.client.connection.start(this.nowMs);
    return this;
  }

  setLink(link: Link): void {
    this.#link = link;
  }

  /** Puts a datagram of nobody's on the way. */
  inject(to: Side, datagram: Buffer): void {
    to.connection.handleDatagram(datagram, this.nowMs);
  }

  /** Delivers and lets time pass until `isDone`, nothing is left to do, or `forMs` have passed. */
  run(isDone: () => boolean, forMs = 60_000): this {
    const endMs = this.nowMs + forMs;
    while (!isDone()) {
      const next = this.#nextMs();
      if (next > endMs) break;
      this.nowMs = Math.max(this.nowMs, next);
      this.#deliver();
      for (const { connection } of [this.client, this.server]) {
        if ((connection.nextTimeoutMs ?? Number.POSITIVE_INFINITY) <= this.nowMs) {
          connection.handleTimeout(this.nowMs);
        }
      }
    }
    return this;
  }

  connect(): this {
    return this.start().run(() => this.isConnected);
  }

  get isConnected(): boolean {
    return this.client.connected.length > 0 && this.server.connected.length > 0;
  }

  #side(
    role: 'client' | 'server',
    own: Certificate,
    peer: Certificate,
    options?: Partial<DtlsOptions>,
  ): Side {
    const side = {
      certificate: own,
      connected: [],
      data: [],
      closed: [],
      sent: [],
      connectedMs: undefined,
    } as unknown as Side;
    side.connection = new DtlsConnection({
      role,
      certificate: own,
      remoteFingerprints: [peer.fingerprint],
      onDatagram: (datagram) => {
        side.sent.push(Buffer.from(datagram));
        const to = role === 'client' ? this.server : this.client;
        for (const delayMs of this.#link(datagram, role)) {
          const copy = Buffer.from(datagram);
          this.#onTheWay.push({ atMs: this.nowMs + delayMs, order: this.#order++, to, datagram: copy });
        }
      },
      onConnected: (result) => {
        side.connected.push(result);
        side.connectedMs = this.nowMs;
      },
      onData: (data) => side.data.push(data.toString()),
      onClosed: (error) => side.closed.push(error),
      ...options,
    });
    return side;
  }

  #nextMs(): number {
    return Math.min(
      ...this.#onTheWay.map(({ atMs }) => atMs),
      this.client.connection.nextTimeoutMs ?? Number.POSITIVE_INFINITY,
      this.server.connection.nextTimeoutMs ?? Number.POSITIVE_INFINITY,
    );
  }

  #deliver(): void {
    const due = this.#onTheWay.filter(({ atMs }) => atMs <= this.nowMs);
    this.#onTheWay = this.#onTheWay.filter(({ atMs }) => atMs > this.nowMs);
    due.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
    for (const { to, datagram } of due) to.connection.handleDatagram(datagram, this.nowMs);
  }
}
