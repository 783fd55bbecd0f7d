import { randomBytes } from 'node:crypto';
import { createLogger } from '../timeline/index.js';
import { candidateAddress, hostCandidate, type IceCandidate } from './ice.js';
import { IceAgent, type IceCredentials, type IcePath } from './ice-agent.js';
import { familyOf, type IceLink, TcpLink, UdpLink } from './ice-link.js';
import { localAddresses, localAddressTowards } from './local-address.js';
import { isStun, type TransportAddress } from './stun.js';

export interface IceBridgeOptions {
  /** For logs. */
  name: string;
  /** Where the addon's own ICE agent receives: an address of this machine. */
  addon: TransportAddress;
  /** The addon's credentials, and those it believes the other side to have. */
  addonCredentials: { local: IceCredentials; remote: IceCredentials };
  /** Local address to send from; all of them without it. */
  bindAddress?: string;
  /** `candidate:…` of a socket of the bridge. */
  onLocalCandidate: (candidate: string) => void;
  onConnected: (path: IcePath) => void;
  onLost: () => void;
}

export interface OuterSession {
  local: IceCredentials;
  remote: IceCredentials;
  /** Whether this side nominates the path: it made the offer, or the other side is lite. */
  controlling: boolean;
  /** UDP paths too, or only those that the addon does not have: TCP and relays. */
  udp: boolean;
}

const log = createLogger('transport/ice');
/** Above that of any candidate, so that the addon prefers the bridge to the pair that has gone. */
const highestPriority = 0x7fffffff;
const highestTieBreaker = 2n ** 64n - 1n;
const hostPriority = 0x7e7fffff;

/**
 * Carries a peer connection over paths that the addon's ICE agent cannot take: after an ICE restart, which it does not
 * know, over TCP, and through TURN servers that it does not speak to. To the addon the bridge is one more candidate of
 * the other side, on the loopback interface; to the other side it is the addon. DTLS and all above it go through
 * untouched.
 */
export class IceBridge {
  #options: IceBridgeOptions;
  #inner: { agent: IceAgent; link: UdpLink; path: IcePath };
  #outer:
    | { agent: IceAgent; session: OuterSession; links: Map<string, IceLink>; announced: Set<string> }
    | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: IceBridgeOptions) {
    this.#options = options;
    const { remote, local } = options.addonCredentials;
    const { address } = options.addon;
    const link = new UdpLink({
      family: familyOf(address),
      bindAddress: address,
      onPacket: (path, packet) => this.#fromAddon(path, packet),
    });
    const agent = new IceAgent({
      local: remote,
      remote: local,
      controlling: true,
      tieBreaker: highestTieBreaker,
      priority: highestPriority,
      randomBytes,
      onSelected: () => {},
      onLost: () => {},
    });
    this.#inner = { agent, link, path: link.pathTo(options.addon) };
  }

  /** Looks for a path to the other side; what is in use goes on until one is found. */
  start(session: OuterSession): void {
    if (this.#closed) return;
    this.#closeOuter();
    const { local, remote, controlling } = session;
    const agent = new IceAgent({
      local,
      remote,
      controlling,
      tieBreaker: randomBytes(8).readBigUInt64BE(),
      priority: hostPriority,
      randomBytes,
      onSelected: (path) => this.#onSelected(path),
      onLost: this.#options.onLost,
    });
    this.#outer = { agent, session, links: new Map(), announced: new Set() };
    if (session.udp) void this.#announceSocket();
    this.#tick();
  }

  /** Adds a candidate of the other side; those that cannot be reached from here are passed over. */
  addCandidate({ candidate }: IceCandidate): void {
    const remote = candidateAddress(candidate);
    if (!this.#outer || !remote) return;
    if (remote.protocol === 'tcp') this.#addTcp(remote);
    else if (this.#outer.session.udp) void this.#addUdp(remote);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#closeOuter();
    this.#inner.link.close();
  }

  #addTcp(remote: TransportAddress): void {
    const { agent, links } = this.#outer!;
    const key = `tcp ${remote.address} ${remote.port}`;
    if (links.has(key)) return;
    const link = new TcpLink(
      remote,
      (path, packet) => this.#fromOutside(agent, path, packet),
      () => agent.remove(link.path),
    );
    links.set(key, link);
    agent.add(link.path, performance.now());
    this.#tick();
  }

  async #addUdp(remote: TransportAddress): Promise<void> {
    const outer = this.#outer!;
    const family = familyOf(remote.address);
    const { bindAddress } = this.#options;
    if (bindAddress !== undefined && familyOf(bindAddress) !== family) return;
    const link = this.#udpLink(family);
    // The other side hears first where the check will come from: for a stranger a controlling server waits a second.
    const [port, address] = await Promise.all([
      link.port,
      bindAddress ?? localAddressTowards(remote, family),
    ]);
    if (outer !== this.#outer || address === undefined) return;
    this.#announce({ address, port });
    outer.agent.add(link.pathTo(remote), performance.now());
    this.#tick();
  }

  #udpLink(family: 4 | 6): UdpLink {
    const { agent, links } = this.#outer!;
    const key = `udp${family}`;
    const known = links.get(key) as UdpLink | undefined;
    if (known) return known;
    const { bindAddress } = this.#options;
    const link = new UdpLink({
      family,
      ...(bindAddress === undefined ? {} : { bindAddress }),
      onPacket: (path, packet) => this.#fromOutside(agent, path, packet),
    });
    links.set(key, link);
    return link;
  }

  async #announceSocket(): Promise<void> {
    const outer = this.#outer!;
    const { bindAddress } = this.#options;
    const family = bindAddress === undefined ? 4 : familyOf(bindAddress);
    const port = await this.#udpLink(family).port;
    if (outer !== this.#outer) return;
    const addresses = bindAddress === undefined ? localAddresses(family) : [bindAddress];
    for (const address of addresses) this.#announce({ address, port });
  }

  #announce(local: TransportAddress): void {
    const { announced } = this.#outer!;
    const key = `${local.address} ${local.port}`;
    if (announced.has(key)) return;
    this.#options.onLocalCandidate(hostCandidate(local, announced.size));
    announced.add(key);
  }

  #onSelected(path: IcePath): void {
    log.debug(
      `${this.#options.name}: connected to ${path.remote.address} port ${path.remote.port} over the bridge`,
    );
    if (!this.#inner.agent.selected) this.#inner.agent.add(this.#inner.path, performance.now());
    this.#options.onConnected(path);
    this.#tick();
  }

  #fromAddon(path: IcePath, packet: Buffer): void {
    if (path !== this.#inner.path) return;
    if (isStun(packet)) this.#inner.agent.receive(path, packet, performance.now());
    else this.#outer?.agent.selected?.send(packet);
  }

  #fromOutside(agent: IceAgent, path: IcePath, packet: Buffer): void {
    if (agent !== this.#outer?.agent) return;
    if (isStun(packet)) agent.receive(path, packet, performance.now());
    else this.#inner.path.send(packet);
  }

  #tick(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    const waitMs = Math.min(this.#inner.agent.tick(nowMs), this.#outer?.agent.tick(nowMs) ?? 1_000);
    this.#timer = setTimeout(() => this.#tick(), Math.max(5, waitMs));
    this.#timer.unref();
  }

  #closeOuter(): void {
    for (const link of this.#outer?.links.values() ?? []) link.close();
    this.#outer = undefined;
  }
}
