import { randomBytes } from 'node:crypto';
import { createLogger, describeError } from '../timeline/index.js';
import { candidateAddress, hostCandidate, type IceCandidate, type TurnServer } from './ice.js';
import { IceAgent, type IceCredentials, type IcePath } from './ice-agent.js';
import { type IceLink, TcpLink, UdpLink } from './ice-link.js';
import { familyOf, localAddresses, localAddressTowards } from './local-address.js';
import { isStun, type TransportAddress } from './stun.js';
import { TurnLink } from './turn-link.js';

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
  onConnected: () => void;
  onLost: () => void;
}

/** One search for a path to the other side. */
export interface BridgeSession {
  local: IceCredentials;
  remote: IceCredentials;
  /** Whether this side nominates the path: it made the offer, or the other side is lite. */
  controlling: boolean;
  /** What to try beside relays. */
  protocols: readonly ('udp' | 'tcp')[];
  turnServers: readonly TurnServer[];
  /** Relays are tried that much later, when nothing else has answered. */
  turnAfterMs: number;
}

interface Outer {
  agent: IceAgent;
  session: BridgeSession;
  links: Map<string, IceLink>;
  relays: TurnLink[];
  /** UDP addresses of the other side, for the relays too. */
  remotes: TransportAddress[];
  announced: Set<string>;
  turnTimer: NodeJS.Timeout | undefined;
}

const log = createLogger('transport/ice');
/** Above that of any candidate, so that the addon prefers the bridge to the pair that has gone. */
const highestPriority = 0x7fffffff;
const highestTieBreaker = 2n ** 64n - 1n;
const hostPriority = 0x7e7fffff;
const maxTickMs = 1_000;

/**
 * Carries a peer connection over paths that the addon's ICE agent cannot take: after an ICE restart, which it does not
 * know, over TCP, and through TURN servers that it does not speak to. To the addon the bridge is one more candidate of
 * the other side, on the loopback interface; to the other side it is the addon. DTLS and all above it go through
 * untouched.
 */
export class IceBridge {
  #options: IceBridgeOptions;
  #inner: { agent: IceAgent; link: UdpLink; path: IcePath };
  #outer: Outer | undefined;
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

  /** The path in use. */
  get selected(): IcePath | undefined {
    return this.#outer?.agent.selected;
  }

  /** Looks for a path to the other side. */
  start(session: BridgeSession): void {
    if (this.#closed) return;
    this.#closeOuter();
    const { local, remote, controlling, turnServers, turnAfterMs } = session;
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
    const outer: Outer = {
      agent,
      session,
      links: new Map(),
      relays: [],
      remotes: [],
      announced: new Set(),
      turnTimer: undefined,
    };
    this.#outer = outer;
    if (session.protocols.includes('udp')) void this.#announceSocket(outer);
    outer.turnTimer = setTimeout(() => {
      if (agent.selected) return;
      for (const server of turnServers) void this.#addRelay(outer, server);
    }, turnAfterMs);
    outer.turnTimer.unref();
    this.#tick();
  }

  /** Adds a candidate of the other side; those that cannot be reached from here are passed over. */
  addCandidate({ candidate }: IceCandidate): void {
    const outer = this.#outer;
    const remote = candidateAddress(candidate);
    if (!outer || !remote) return;
    const { protocols } = outer.session;
    if (remote.protocol === 'tcp') {
      if (protocols.includes('tcp')) this.#addTcp(outer, remote);
      return;
    }
    outer.remotes.push(remote);
    for (const relay of outer.relays) outer.agent.add(relay.pathTo(remote), performance.now());
    if (protocols.includes('udp')) void this.#addUdp(outer, remote);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#closeOuter();
    this.#inner.link.close();
  }

  #addTcp(outer: Outer, remote: TransportAddress): void {
    const { agent, links } = outer;
    const key = `tcp ${remote.address} ${remote.port}`;
    if (links.has(key)) return;
    const link = new TcpLink(
      remote,
      (path, packet) => this.#fromOutside(outer, path, packet),
      () => this.#onLinkLost(outer, link.path),
    );
    links.set(key, link);
    agent.add(link.path, performance.now());
    this.#tick();
  }

  async #addUdp(outer: Outer, remote: TransportAddress): Promise<void> {
    const family = familyOf(remote.address);
    const { bindAddress } = this.#options;
    if (bindAddress !== undefined && familyOf(bindAddress) !== family) return;
    const link = this.#udpLink(outer, family);
    // The other side hears first where the check will come from: for a stranger a controlling server waits a second.
    const [port, address] = await Promise.all([
      link.port,
      bindAddress ?? localAddressTowards(remote, family),
    ]);
    if (outer !== this.#outer || address === undefined) return;
    const local = { address, port };
    this.#announce(outer, local);
    outer.agent.add(link.pathTo(remote, local), performance.now());
    this.#tick();
  }

  async #addRelay(outer: Outer, server: TurnServer): Promise<void> {
    const link = new TurnLink(
      server,
      (path, packet) => this.#fromOutside(outer, path, packet),
      (error) => {
        log.debug(`${this.#options.name}: ${describeError(error)}`);
        if (outer.agent.selected?.protocol === 'relay') this.#onLinkLost(outer, outer.agent.selected);
      },
    );
    outer.links.set(`${server.transport} ${server.hostname} ${server.port}`, link);
    try {
      const relayed = await link.allocate();
      if (outer !== this.#outer) return;
      // Not as a relay's: a controlling server would wait two seconds for a better one, and there is none.
      this.#announce(outer, relayed);
    } catch (error) {
      log.debug(
        `${this.#options.name}: no relay at ${server.hostname}:${server.port}: ${describeError(error)}`,
      );
      return;
    }
    outer.relays.push(link);
    for (const remote of outer.remotes) outer.agent.add(link.pathTo(remote), performance.now());
    this.#tick();
  }

  #udpLink(outer: Outer, family: 4 | 6): UdpLink {
    const key = `udp${family}`;
    const known = outer.links.get(key) as UdpLink | undefined;
    if (known) return known;
    const { bindAddress } = this.#options;
    const link = new UdpLink({
      family,
      ...(bindAddress === undefined ? {} : { bindAddress }),
      onPacket: (path, packet) => this.#fromOutside(outer, path, packet),
    });
    outer.links.set(key, link);
    return link;
  }

  async #announceSocket(outer: Outer): Promise<void> {
    const { bindAddress } = this.#options;
    const family = bindAddress === undefined ? 4 : familyOf(bindAddress);
    const port = await this.#udpLink(outer, family).port;
    if (outer !== this.#outer) return;
    const addresses = bindAddress === undefined ? localAddresses(family) : [bindAddress];
    for (const address of addresses) this.#announce(outer, { address, port });
  }

  #announce({ announced }: Outer, local: TransportAddress): void {
    const key = `${local.address} ${local.port}`;
    if (announced.has(key)) return;
    this.#options.onLocalCandidate(hostCandidate(local, announced.size));
    announced.add(key);
  }

  #onLinkLost(outer: Outer, path: IcePath): void {
    const wasSelected = outer.agent.selected === path;
    outer.agent.remove(path);
    if (wasSelected && outer === this.#outer) this.#options.onLost();
  }

  #onSelected({ protocol, remote }: IcePath): void {
    const { name, onConnected } = this.#options;
    log.debug(`${name}: connected to ${remote.address} port ${remote.port} over ${protocol}, by the bridge`);
    if (!this.#inner.agent.selected) this.#inner.agent.add(this.#inner.path, performance.now());
    onConnected();
    this.#tick();
  }

  #fromAddon(path: IcePath, packet: Buffer): void {
    if (path !== this.#inner.path) return;
    if (isStun(packet)) this.#inner.agent.receive(path, packet, performance.now());
    else this.#outer?.agent.selected?.send(packet);
  }

  #fromOutside(outer: Outer, path: IcePath, packet: Buffer): void {
    if (outer !== this.#outer) return;
    if (!isStun(packet)) {
      this.#inner.path.send(packet);
      return;
    }
    outer.agent.receive(path, packet, performance.now());
    this.#tick();
  }

  #tick(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    const waitMs = Math.min(this.#inner.agent.tick(nowMs), this.#outer?.agent.tick(nowMs) ?? maxTickMs);
    this.#timer = setTimeout(() => this.#tick(), Math.max(5, Math.min(maxTickMs, waitMs)));
    this.#timer.unref();
  }

  #closeOuter(): void {
    clearTimeout(this.#outer?.turnTimer);
    for (const link of this.#outer?.links.values() ?? []) link.close();
    this.#outer = undefined;
  }
}
