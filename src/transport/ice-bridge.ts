import { randomBytes } from 'node:crypto';
import { DtlsFlights, isDtls } from './dtls-flights.js';
import { hostCandidate, type IceCandidate } from './ice.js';
import { IceAgent, type IceCredentials, type IcePath } from './ice-agent.js';
import { UdpLink } from './ice-link.js';
import { familyOf } from './local-address.js';
import { PathSearch, type SearchTerms } from './path-search.js';
import { isStun, type TransportAddress } from './stun.js';

export interface IceBridgeOptions {
  /** For logs. */
  name: string;
  /** Where the addon's own ICE agent receives: an address of this machine. */
  addon: TransportAddress;
  /** The addon's credentials, and those it believes the other side to have. */
  addonCredentials: { local: IceCredentials; remote: IceCredentials };
  /**
   * Who nominates on the way to the addon: the side that the addon expects to, or the bridge when it takes over a
   * connection that the addon has made by itself.
   */
  inner: 'addonNominates' | 'bridgeNominates' | 'bridgeTakesOver';
  /** Local address to send from; all of them without it. */
  bindAddress: string | undefined;
  /** `candidate:…` of a socket of the bridge, for the other side. */
  onLocalCandidate: (candidate: string) => void;
  /** `candidate:…` of the bridge itself, for the addon. */
  onAddonCandidate: (candidate: string) => void;
  /** A path answers, and another one than before. */
  onUsable: () => void;
  onConnected: () => void;
  /** The path no longer answers; it may again. */
  onSilent: () => void;
  onLost: () => void;
}

/** Above that of any candidate, so that the addon prefers the bridge to the pair that has gone. */
const highestPriority = 0x7fffffff;
const highestTieBreaker = 2n ** 64n - 1n;
const maxTickMs = 1_000;
const minTickMs = 5;
/** The addon puts its own check off by 50 ms when one of ours comes first: it is given the time to begin. */
const addonBeginsWithinMs = 50;
const maxEarlyPackets = 32;

/**
 * Carries a peer connection over paths of our own ICE agent's. To the addon the bridge is the other side, on the loopback
 * interface; to the other side it is the addon. DTLS and all above it go through untouched, but for a flight of the
 * DTLS handshake that is lost, which is sent again from here.
 */
export class IceBridge {
  #options: IceBridgeOptions;
  #inner: { agent: IceAgent; link: UdpLink; path: IcePath };
  #search: PathSearch | undefined;
  #flights: DtlsFlights | undefined;
  /** What came before the addon could take it. */
  #early: Buffer[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #innerTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: IceBridgeOptions) {
    this.#options = options;
    const { addon, inner } = options;
    const { remote, local } = options.addonCredentials;
    const link = new UdpLink({
      family: familyOf(addon.address),
      bindAddress: addon.address,
      onPacket: (path, packet) => this.#fromAddon(path, packet),
    });
    const agent = new IceAgent({
      local: remote,
      remote: local,
      controlling: inner !== 'addonNominates',
      tieBreaker: highestTieBreaker,
      priority: highestPriority,
      randomBytes,
      isWatched: false,
      onUsable: () => {},
      onSelected: () => {},
      onSilent: () => {},
      onLost: () => {},
    });
    this.#inner = { agent, link, path: link.pathTo(addon) };
    if (inner === 'bridgeTakesOver') return;
    this.#flights = new DtlsFlights((packet) => this.#search?.send(packet) ?? false);
    this.#early = [];
    void this.#meetAddon();
  }

  /** The path in use. */
  get selected(): IcePath | undefined {
    return this.#search?.selected;
  }

  /** Resolves when the addresses of this machine are among the local candidates. */
  get gathered(): Promise<void> {
    return this.#search?.gathered ?? Promise.resolve();
  }

  /** Looks for a path to the other side. */
  start(terms: SearchTerms): void {
    if (this.#closed) return;
    this.#search?.close();
    const { name, bindAddress, onLocalCandidate, onConnected, onSilent, onLost } = this.#options;
    const isCurrent = () => search === this.#search;
    const search = new PathSearch(
      {
        name,
        bindAddress,
        onLocalCandidate,
        onUsable: () => this.#onUsable(),
        onSelected: () => {
          this.#takeOver();
          onConnected();
        },
        onSilent,
        onLost,
        onPacket: (packet) => isCurrent() && this.#fromOutside(packet),
        onHurry: () => isCurrent() && this.#tick(),
      },
      terms,
    );
    this.#search = search;
    this.#tick();
  }

  /** Adds a candidate of the other side; those that cannot be reached from here are passed over. */
  addCandidate(candidate: IceCandidate): void {
    this.#search?.addCandidate(candidate);
  }

  /** The addon takes what comes from now on. */
  addonIsReady(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const packet of early) this.#inner.path.send(packet);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#innerTimer);
    this.#search?.close();
    this.#inner.link.close();
  }

  /** Lets the addon find the bridge, before there is a path: what it begins to say is kept until there is one. */
  async #meetAddon(): Promise<void> {
    const { addon, onAddonCandidate } = this.#options;
    const port = await this.#inner.link.port;
    if (this.#closed) return;
    onAddonCandidate(hostCandidate({ address: addon.address, port }, 0));
    this.#innerTimer = setTimeout(() => this.#takeOver(), addonBeginsWithinMs).unref();
  }

  #takeOver(): void {
    if (!this.#inner.agent.selected) this.#inner.agent.add(this.#inner.path, performance.now());
    this.#tick();
  }

  #onUsable(): void {
    this.#flights?.pathFound(performance.now(), this.#search?.rttMs);
    this.#options.onUsable();
  }

  #fromAddon(path: IcePath, packet: Buffer): void {
    if (path !== this.#inner.path) return;
    if (isStun(packet)) {
      this.#inner.agent.receive(path, packet, performance.now());
      this.#tick();
    } else if (this.#flights && isDtls(packet)) {
      this.#flights.outgoing(packet, performance.now(), this.#search?.rttMs);
      this.#tick();
    } else this.#search?.send(packet);
  }

  #fromOutside(packet: Buffer): void {
    if (this.#flights && isDtls(packet)) this.#flights.incoming(packet);
    if (!this.#early) this.#inner.path.send(packet);
    else if (this.#early.length < maxEarlyPackets) this.#early.push(packet);
  }

  #tick(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    const waitMs = Math.min(
      maxTickMs,
      this.#inner.agent.tick(nowMs),
      this.#search?.tick(nowMs) ?? maxTickMs,
      this.#flights?.tick(nowMs) ?? maxTickMs,
    );
    this.#timer = setTimeout(() => this.#tick(), Math.max(minTickMs, waitMs)).unref();
  }
}
