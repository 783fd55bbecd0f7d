import { randomBytes } from 'node:crypto';
import { createLogger, describeError } from '../timeline/index.js';
import {
  candidateAddress,
  hostCandidate,
  type IceCandidate,
  type StunServer,
  type TurnServer,
} from './ice.js';
import { IceAgent, type IceCredentials, type IcePath } from './ice-agent.js';
import { type IceLink, TcpLink, UdpLink } from './ice-link.js';
import { familyOf, localAddresses, localAddressTowards } from './local-address.js';
import { ReflexiveAddress } from './reflexive-address.js';
import { isStun, parseStun, type TransportAddress } from './stun.js';
import { TurnLink } from './turn-link.js';

/** What is searched, and how. */
export interface SearchTerms {
  local: IceCredentials;
  remote: IceCredentials;
  /** Whether this side nominates the path: it made the offer, or the other side is lite. */
  controlling: boolean;
  /** What to try beside relays. */
  protocols: readonly ('udp' | 'tcp')[];
  /** TCP is tried that much later, when UDP has not answered; at once where nothing else is offered. */
  tcpAfterMs: number;
  stunServers: readonly StunServer[];
  turnServers: readonly TurnServer[];
  /** Relays are tried that much later, when nothing else has answered. */
  turnAfterMs: number;
}

export interface PathSearchOptions {
  /** For logs. */
  name: string;
  /** Local address to send from; all of them without it. */
  bindAddress: string | undefined;
  /** `candidate:…` of a socket of ours. */
  onLocalCandidate: (candidate: string) => void;
  /** A path answers. */
  onUsable: () => void;
  onSelected: (path: IcePath) => void;
  onSilent: () => void;
  onLost: () => void;
  /** What is no STUN. */
  onPacket: (packet: Buffer) => void;
  /** Something is to be checked sooner than the last tick said. */
  onHurry: () => void;
}

const log = createLogger('transport/ice');
const hostPriority = 0x7e7fffff;
/** A server that saw UDP fail for this participant may offer TCP alone; its candidates come within this of each other. */
const nothingElseAfterMs = 50;
/** Where UDP gets through now and then, it is given this long: a call over TCP suffers more from loss. */
const tcpBesideUdpAfterMs = 2_000;
const stunServersAsked = 2;
/** What the other side is told goes by the signal connection, and may arrive later than a check that leaves with it. */
const announcedBeforeMs = 10;

/** One search for a path to the other side: over UDP, TCP, and through TURN; the path that it found is part of it. */
export class PathSearch {
  /** Resolves when the addresses of this machine have been told; later ones are those that others see. */
  readonly gathered: Promise<void>;
  #options: PathSearchOptions;
  #terms: SearchTerms;
  #agent: IceAgent;
  #links = new Map<string, IceLink>();
  #relays: TurnLink[] = [];
  #reflexive: ReflexiveAddress[] = [];
  /** Addresses of the other side; those over UDP are for the relays too. */
  #remotes: Record<'udp' | 'tcp', TransportAddress[]> = { udp: [], tcp: [] };
  #announced = new Set<string>();
  #tcpIsTried = false;
  #timers: NodeJS.Timeout[] = [];
  #closed = false;

  constructor(options: PathSearchOptions, terms: SearchTerms) {
    this.#options = options;
    this.#terms = terms;
    const { local, remote, controlling, protocols } = terms;
    this.#agent = new IceAgent({
      local,
      remote,
      controlling,
      tieBreaker: randomBytes(8).readBigUInt64BE(),
      priority: hostPriority,
      randomBytes,
      isWatched: true,
      onUsable: options.onUsable,
      onSelected: (path) => this.#onSelected(path),
      onSilent: options.onSilent,
      onLost: options.onLost,
    });
    this.gathered = protocols.includes('udp') ? this.#announceSocket() : Promise.resolve();
    this.#later(() => this.#tryTcp(), terms.tcpAfterMs);
    this.#later(() => {
      if (this.#agent.usable) return;
      for (const server of terms.turnServers) void this.#addRelay(server);
    }, terms.turnAfterMs);
  }

  get selected(): IcePath | undefined {
    return this.#agent.selected;
  }

  get rttMs(): number | undefined {
    return this.#agent.rttMs;
  }

  /** Returns false while there is no path. */
  send(packet: Buffer): boolean {
    const path = this.#agent.usable;
    path?.send(packet);
    return path !== undefined;
  }

  /** Adds a candidate of the other side; those that cannot be reached from here are passed over. */
  addCandidate({ candidate }: IceCandidate): void {
    const remote = candidateAddress(candidate);
    if (!remote) return;
    if (remote.protocol === 'tcp') {
      this.#remotes.tcp.push(remote);
      if (this.#tcpIsTried) this.#addTcp(remote);
      else this.#later(() => this.#remotes.udp.length === 0 && this.#tryTcp(), nothingElseAfterMs);
      return;
    }
    this.#remotes.udp.push(remote);
    for (const relay of this.#relays) this.#agent.add(relay.pathTo(remote), performance.now());
    if (this.#terms.protocols.includes('udp')) void this.#addUdp(remote);
  }

  /** Sends the checks that are due; returns how long until the next one is. */
  tick(nowMs: number): number {
    return this.#agent.tick(nowMs);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const reflexive of this.#reflexive) reflexive.close();
    for (const link of this.#links.values()) link.close();
  }

  #tryTcp(): void {
    if (this.#tcpIsTried || this.#agent.usable || !this.#terms.protocols.includes('tcp')) return;
    if (this.#agent.hasHeard('udp')) {
      this.#later(() => this.#tryTcp(), tcpBesideUdpAfterMs);
      return;
    }
    this.#tcpIsTried = true;
    for (const remote of this.#remotes.tcp) this.#addTcp(remote);
  }

  #addTcp(remote: TransportAddress): void {
    const key = `tcp ${remote.address} ${remote.port}`;
    if (this.#links.has(key)) return;
    const link = new TcpLink({
      remote,
      onOpen: (local) => this.#onTcpOpen(link.path, local),
      onPacket: (path, packet) => this.#receive(path, packet),
      onClosed: () => this.#onLinkLost(link.path),
    });
    this.#links.set(key, link);
  }

  /** The other side hears of the connection before it is checked: for a stranger a controlling server waits a second. */
  #onTcpOpen(path: IcePath, local: TransportAddress): void {
    this.#announce(local, 'tcp');
    this.#later(() => {
      this.#agent.add(path, performance.now());
      this.#options.onHurry();
    }, announcedBeforeMs);
  }

  async #addUdp(remote: TransportAddress): Promise<void> {
    const family = familyOf(remote.address);
    const { bindAddress } = this.#options;
    if (bindAddress !== undefined && familyOf(bindAddress) !== family) return;
    const link = this.#udpLink(family);
    // The other side hears first where the check will come from: for a stranger a controlling server waits a second.
    const [port, address] = await Promise.all([
      link.port,
      bindAddress ?? localAddressTowards(remote, family),
    ]);
    if (this.#closed || address === undefined) return;
    const local = { address, port };
    this.#announce(local);
    this.#agent.add(link.pathTo(remote, local), performance.now());
    this.#options.onHurry();
  }

  async #addRelay(server: TurnServer): Promise<void> {
    const { name } = this.#options;
    const link = new TurnLink(
      server,
      (path, packet) => this.#receive(path, packet),
      (error) => {
        log.debug(`${name}: ${describeError(error)}`);
        if (this.selected?.protocol === 'relay') this.#onLinkLost(this.selected);
      },
    );
    this.#links.set(`${server.transport} ${server.hostname} ${server.port}`, link);
    try {
      const relayed = await link.allocate();
      if (this.#closed) return;
      // Not as a relay's: a controlling server would wait two seconds for a better one, and there is none.
      this.#announce(relayed);
    } catch (error) {
      log.debug(`${name}: no relay at ${server.hostname}:${server.port}: ${describeError(error)}`);
      return;
    }
    this.#relays.push(link);
    for (const remote of this.#remotes.udp) this.#agent.add(link.pathTo(remote), performance.now());
    this.#options.onHurry();
  }

  #udpLink(family: 4 | 6): UdpLink {
    const key = `udp${family}`;
    const known = this.#links.get(key) as UdpLink | undefined;
    if (known) return known;
    const { bindAddress } = this.#options;
    const link = new UdpLink({
      family,
      ...(bindAddress === undefined ? {} : { bindAddress }),
      onPacket: (path, packet) => this.#receive(path, packet),
    });
    this.#links.set(key, link);
    return link;
  }

  async #announceSocket(): Promise<void> {
    const { bindAddress } = this.#options;
    const family = bindAddress === undefined ? 4 : familyOf(bindAddress);
    const link = this.#udpLink(family);
    const port = await link.port;
    if (this.#closed) return;
    const addresses = bindAddress === undefined ? localAddresses(family) : [bindAddress];
    for (const address of addresses) this.#announce({ address, port });
    if (family !== 4) return;
    // Told as a host's address: for a server-reflexive one a controlling server waits half a second.
    this.#reflexive = this.#terms.stunServers
      .slice(0, stunServersAsked)
      .map((server) => new ReflexiveAddress({ link, server, onAddress: (seen) => this.#announce(seen) }));
  }

  #announce(local: TransportAddress, protocol: 'udp' | 'tcp' = 'udp'): void {
    const key = `${protocol} ${local.address} ${local.port}`;
    if (this.#announced.has(key)) return;
    this.#options.onLocalCandidate(hostCandidate(local, this.#announced.size, protocol));
    this.#announced.add(key);
  }

  #onSelected(path: IcePath): void {
    const { protocol, remote } = path;
    log.debug(`${this.#options.name}: connected to ${remote.address} port ${remote.port} over ${protocol}`);
    for (const [key, link] of this.#links) {
      if (!(link instanceof TcpLink) || link.path === path) continue;
      this.#agent.remove(link.path);
      link.close();
      this.#links.delete(key);
    }
    this.#options.onSelected(path);
  }

  #onLinkLost(path: IcePath): void {
    const wasSelected = this.selected === path;
    this.#agent.remove(path);
    if (wasSelected && !this.#closed) this.#options.onLost();
  }

  #receive(path: IcePath, packet: Buffer): void {
    if (this.#closed) return;
    if (!isStun(packet)) {
      this.#options.onPacket(packet);
      return;
    }
    if (this.#reflexive.length > 0 && this.#isReflexive(packet)) return;
    this.#agent.receive(path, packet, performance.now());
    this.#options.onHurry();
  }

  #isReflexive(packet: Buffer): boolean {
    const message = parseStun(packet);
    return message !== undefined && this.#reflexive.some((reflexive) => reflexive.receive(message));
  }

  #later(act: () => void, delayMs: number): void {
    this.#timers.push(setTimeout(act, delayMs).unref());
  }
}
