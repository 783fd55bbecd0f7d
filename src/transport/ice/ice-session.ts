import { randomBytes } from 'node:crypto';
import { describeError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { createLogger, type Logger, type LogSubject } from '../../logging/index.js';
import { type CandidateAddress, candidateAddress, hostCandidate } from './candidate.js';
import { IceAgent, type IceCredentials, type IcePath, type PathStats } from './ice-agent.js';
import type { StunServer, TurnServer } from './ice-servers.js';
import { familyOf, localAddresses, localAddressTowards } from './local-address.js';
import { ReflexiveAddress } from './reflexive-address.js';
import { isStun, parseStun, type TransportAddress } from './stun.js';
import { TcpLink } from './tcp-link.js';
import { TurnLink } from './turn-link.js';
import { type IceLink, openUdpLink, type UdpLink } from './udp-link.js';
import type { LinkOwner, UdpPort } from './udp-port.js';

export interface IceSessionOptions {
  /** For logs. */
  name: string;
  subject: LogSubject;
  /** Sockets of our own, over these protocols; none of them for relays alone. */
  protocols: readonly ('udp' | 'tcp')[];
  /** Local address to send from; all of them without it. */
  bindAddress: string | undefined;
  /** A port that is shared with other connections, in place of sockets of our own, TCP and relays; and whose session it is. */
  shared: ({ port: UdpPort } & LinkOwner) | undefined;
  /** Answers checks and sends none. */
  lite: boolean;
  /** As `setServers` changes them. */
  stunServers: readonly StunServer[];
  turnServers: readonly TurnServer[];
  /** TCP and relays are tried together with UDP: what there was stopped working. */
  hurried: boolean;
  /** `candidate:…` of a socket of ours. Those that are known at once are in `candidates` only. */
  onCandidate: (candidate: string) => void;
  /** A path answers. */
  onUsable: () => void;
  onSelected: () => void;
  onSilent: () => void;
  onLost: () => void;
  /** A packet that is no STUN, over a path that the other side has proven to be its own. */
  onPacket: (packet: Buffer) => void;
  /** Something is due sooner than `nextTimeoutMs` said before. */
  onEarlier: () => void;
  /** A packet or a timer of the session threw. It goes no further: others share the process. */
  onError: (error: unknown) => void;
}

const log = createLogger('transport/ice');
const hostPriority = 0x7e7fffff;
/** UDP takes that long where it works at all; where the way is longer, it still answers before TCP does. */
const tcpAfterMs = 200;
const turnAfterMs = 500;
/** A server that saw UDP fail for this participant may offer TCP alone; its candidates come within this of each other. */
const nothingElseAfterMs = 50;
/** Where UDP gets through now and then, it is given this long: a call over TCP suffers more from loss. */
const tcpBesideUdpAfterMs = 2_000;
const stunServersAsked = 2;
/** A candidate goes by the signalling connection, and may arrive later than a check that leaves with it. */
const announcedBeforeMs = 10;
/**
 * What leaves for the other side leaves from there, so that is to be the best candidate: as long as there is a better
 * one that it has no answer from, pion nominates none in its first 200 ms.
 */
const sourcePreference = 0;

/** The two ends of a path, for those who want to see it. */
export interface CandidatePair {
  local: CandidateAddress;
  remote: CandidateAddress;
}

export interface IceStats {
  state: 'checking' | 'connected' | 'disconnected';
  isControlling: boolean;
  localUfrag: string;
  remoteUfrag: string;
  localCandidates: readonly CandidateAddress[];
  remoteCandidates: readonly CandidateAddress[];
  /** In use, and its checks. */
  selected: (CandidatePair & PathStats) | undefined;
  selections: number;
}

function newIceCredentials(): IceCredentials {
  return { ufrag: randomBytes(6).toString('base64'), pwd: randomBytes(18).toString('base64') };
}

/**
 * The sockets of one ICE session, from its credentials to the path that it finds; an ICE restart is another session. The
 * order is UDP, then TCP, then relays. Runs the checks of an `IceAgent` on them.
 */
export class IceSession {
  readonly local = newIceCredentials();
  /** `candidate:…` of each socket of ours so far. */
  readonly candidates: string[] = [];
  #options: IceSessionOptions;
  #log: Logger;
  #agent: IceAgent;
  #udp = new Map<4 | 6, UdpLink>();
  #links = new Map<string, IceLink>();
  #relays: TurnLink[] = [];
  #reflexive: ReflexiveAddress[] = [];
  /** Addresses of the other side; those over UDP are for the relays too. */
  #remotes: Record<'udp' | 'tcp', CandidateAddress[]> = { udp: [], tcp: [] };
  #remoteKeys = new Set<string>();
  #announced = new Set<string>();
  #isAnnouncing = false;
  #started = false;
  #tcpIsTried = false;
  #timers: NodeJS.Timeout[] = [];
  /** The answer of `#sourceOf` for the last path that it was asked for. */
  #source: { path: IcePath; local: TransportAddress | undefined } | undefined;
  #closed = false;

  /** @throws OffhookError `OFFHOOK_TRANSPORT` when no socket can be had */
  constructor(options: IceSessionOptions) {
    this.#options = options;
    this.#log = log.about(options.subject);
    const { lite, protocols, onUsable, onSilent, onLost } = options;
    const shared = options.shared?.port.link(this.local.ufrag, options.shared, (path, packet) =>
      this.#receive(path, packet),
    );
    this.#agent = new IceAgent({
      local: this.local,
      controlling: false,
      lite,
      tieBreaker: randomBytes(8).readBigUInt64BE(),
      priority: hostPriority,
      randomBytes,
      ...(shared && { transactionTag: shared.tag }),
      onUsable,
      onSelected: (path) => this.#onSelected(path),
      onRemoved: (path) => this.#udp.get(familyOf(path.remote.address))?.forget(path),
      onSilent,
      onLost,
    });
    if (shared) {
      this.#udp.set(4, shared.link).set(6, shared.link);
      this.#links.set('shared', shared.link);
    } else if (protocols.includes('udp')) this.#openUdp();
    this.#isAnnouncing = true;
  }

  get #selected(): IcePath | undefined {
    return this.#agent.selected;
  }

  get pair(): CandidatePair | undefined {
    const path = this.#agent.usable;
    if (!path) return undefined;
    const { protocol, remote } = path;
    const isRelayed = protocol === 'relay';
    const transport = isRelayed ? 'udp' : protocol;
    const local = path.local ?? this.#sourceOf(path);
    const from = local ?? { address: '', port: 0 };
    return {
      local: {
        ...(find(this.#localCandidates, from, transport) ?? unannounced(from, 'host', transport)),
        type: isRelayed ? 'relay' : 'host',
      },
      remote:
        find([...this.#remotes.udp, ...this.#remotes.tcp], remote, transport) ??
        unannounced(remote, 'prflx', transport, this.#agent.pathStats?.remotePriority),
    };
  }

  get stats(): IceStats {
    const { pair } = this;
    const path = this.#agent.pathStats;
    const { isSilent, isControlling, remoteUfrag, selections } = this.#agent;
    return {
      state: path === undefined ? 'checking' : isSilent ? 'disconnected' : 'connected',
      isControlling,
      localUfrag: this.local.ufrag,
      remoteUfrag,
      localCandidates: this.#localCandidates,
      remoteCandidates: [...this.#remotes.udp, ...this.#remotes.tcp],
      selected: pair && path && { ...pair, ...path },
      selections,
    };
  }

  get #localCandidates(): CandidateAddress[] {
    return this.candidates.flatMap((line) => candidateAddress(line) ?? []);
  }

  get isUsable(): boolean {
    return this.#agent.usable !== undefined;
  }

  get rttMs(): number | undefined {
    return this.#agent.rttMs;
  }

  /** When `handleTimeout` is due, on the clock of `nowMs`. */
  nextTimeoutMs(nowMs: number): number {
    return this.#agent.nextTimeoutMs(nowMs);
  }

  handleTimeout(nowMs: number): void {
    this.#agent.handleTimeout(nowMs);
  }

  /** The other side's credentials are known: its candidates are checked. Once. */
  start(remote: IceCredentials, controlling: boolean): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.#agent.setRemote(remote, controlling);
    this.#options.onEarlier();
    if (this.#options.shared) return;
    const { hurried, protocols } = this.#options;
    this.#later(() => this.#tryTcp(), hurried ? 0 : tcpAfterMs);
    this.#later(
      () => {
        if (this.#agent.usable) return;
        for (const server of this.#options.turnServers) void this.#addRelay(server);
      },
      hurried || protocols.length === 0 ? 0 : turnAfterMs,
    );
  }

  /** The servers are known later than the session began, and with them whether only relays are to be used. Before `start`. */
  setServers(
    { stunServers, turnServers }: Pick<IceSessionOptions, 'stunServers' | 'turnServers'>,
    relayOnly: boolean,
  ): void {
    this.#options = { ...this.#options, stunServers, turnServers };
    if (relayOnly) this.#closeDirectLinks();
    this.#findReflexive();
  }

  /** The other side was told of their candidates, and gets no answer there. */
  #closeDirectLinks(): void {
    this.#options = { ...this.#options, protocols: [] };
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#udp.clear();
  }

  /** Runs once for every packet. Returns false while there is no path. */
  send(packet: Buffer): boolean {
    const path = this.#agent.usable;
    path?.send(packet);
    return path !== undefined;
  }

  /**
   * Adds a candidate of the other side, `candidate:…`; those that cannot be reached from here are passed over.
   *
   * @returns false when it is malformed, or bears a host name
   */
  addCandidate(candidate: string): boolean {
    const remote = candidateAddress(candidate);
    if (!remote) return false;
    const { address, port, protocol } = remote;
    const key = `${protocol} ${address} ${port}`;
    if (this.#closed || this.#options.lite || this.#remoteKeys.has(key)) return true;
    if (this.#remoteKeys.size >= limits.remoteCandidates.value) return true;
    // Where the other side connects to us there is nothing to be done.
    if (port === 0 || port === 9 || remote.tcpType === 'active') return true;
    this.#remoteKeys.add(key);
    if (protocol === 'tcp') {
      this.#remotes.tcp.push(remote);
      if (this.#tcpIsTried) this.#addTcp(remote);
      else this.#later(() => this.#remotes.udp.length === 0 && this.#tryTcp(), nothingElseAfterMs);
    } else if (protocol === 'udp') {
      this.#remotes.udp.push(remote);
      for (const relay of this.#relays) this.#agent.add(relay.pathTo(remote), performance.now());
      this.#addUdp(remote);
    }
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const reflexive of this.#reflexive) reflexive.close();
    for (const link of this.#links.values()) link.close();
  }

  #tryTcp(): void {
    if (this.#tcpIsTried || !this.#started || this.#agent.usable) return;
    if (!this.#options.protocols.includes('tcp')) return;
    if (this.#agent.hasHeard('udp')) {
      this.#later(() => this.#tryTcp(), tcpBesideUdpAfterMs);
      return;
    }
    this.#tcpIsTried = true;
    for (const remote of this.#remotes.tcp) this.#addTcp(remote);
  }

  #addTcp(remote: TransportAddress): void {
    const link = new TcpLink({
      remote,
      onOpen: (local) => this.#onTcpOpen(link.path, local),
      onPacket: (path, packet) => this.#receive(path, packet),
      onClosed: () => this.#onLinkLost(link.path),
    });
    this.#links.set(`tcp ${remote.address} ${remote.port}`, link);
  }

  #onTcpOpen(path: IcePath, local: TransportAddress): void {
    this.#announce(local, 'tcp');
    this.#checkLater(path);
  }

  /** The other side hears of an address before it is checked from there: for a stranger a server waits a second. */
  #checkLater(path: IcePath): void {
    this.#later(() => {
      this.#agent.add(path, performance.now());
      this.#options.onEarlier();
    }, announcedBeforeMs);
  }

  #addUdp(remote: TransportAddress): void {
    const { bindAddress, shared, protocols } = this.#options;
    const family = familyOf(remote.address);
    if (!shared) {
      if (!protocols.includes('udp')) return;
      if (bindAddress !== undefined && familyOf(bindAddress) !== family) return;
    }
    const link = this.#udpLink(family);
    if (!link) return;
    const path = link.pathTo(remote);
    if (!shared && this.#announceSource(link, remote)) this.#checkLater(path);
    else {
      this.#agent.add(path, performance.now());
      this.#options.onEarlier();
    }
  }

  /** Announces the address from which the system sends to `remote`; false when the other side knows it already. */
  #announceSource(link: UdpLink, remote: TransportAddress): boolean {
    if (this.#options.bindAddress !== undefined) return false;
    const address = localAddressTowards(remote);
    return address !== undefined && this.#announce({ address, port: link.port }, 'udp', sourcePreference);
  }

  async #addRelay(server: TurnServer): Promise<void> {
    const { name } = this.#options;
    const link = new TurnLink(
      server,
      (path, packet) => this.#receive(path, packet),
      (error) => {
        this.#log.debug(`${name}: ${describeError(error)}`);
        if (this.#selected?.protocol === 'relay') this.#onLinkLost(this.#selected);
      },
    );
    this.#links.set(`${server.transport} ${server.hostname} ${server.port}`, link);
    try {
      const relayed = await link.allocate();
      if (this.#closed) return;
      // Not as a relay's: a controlling server would wait two seconds for a better one, and there is none.
      this.#announce(relayed);
    } catch (error) {
      this.#log.debug(`${name}: no relay at ${server.hostname}:${server.port}: ${describeError(error)}`);
      return;
    }
    this.#relays.push(link);
    for (const remote of this.#remotes.udp) this.#agent.add(link.pathTo(remote), performance.now());
    this.#options.onEarlier();
  }

  /** The socket for a family; undefined when there is none to be had. */
  #udpLink(family: 4 | 6): UdpLink | undefined {
    const known = this.#udp.get(family);
    if (known) return known;
    try {
      return this.#newUdpLink(family);
    } catch (error) {
      this.#log.debug(`${this.#options.name}: ${describeError(error)}`);
      return undefined;
    }
  }

  #newUdpLink(family: 4 | 6): UdpLink {
    const { bindAddress } = this.#options;
    const onPacket = (path: IcePath, packet: Buffer) => this.#receive(path, packet);
    const link = openUdpLink({ family, bindAddress, onPacket });
    this.#udp.set(family, link);
    this.#links.set(`udp${family}`, link);
    return link;
  }

  #openUdp(): void {
    const { bindAddress } = this.#options;
    const family = bindAddress === undefined ? 4 : familyOf(bindAddress);
    const link = this.#newUdpLink(family);
    const addresses = bindAddress === undefined ? localAddresses(family) : [bindAddress];
    for (const address of addresses) this.#announce({ address, port: link.port });
    this.#findReflexive();
  }

  #findReflexive(): void {
    const link = this.#udp.get(4);
    if (!link || this.#options.shared || this.#closed || this.#reflexive.length > 0) return;
    // Announced as a host's address: for a server-reflexive one a controlling server waits half a second.
    this.#reflexive = this.#options.stunServers
      .slice(0, stunServersAsked)
      .map((server) => new ReflexiveAddress({ link, server, onAddress: (seen) => this.#announce(seen) }));
  }

  /** Returns false when it was announced before. */
  #announce(
    local: TransportAddress,
    protocol: 'udp' | 'tcp' = 'udp',
    preference = sourcePreference + 1 + this.#announced.size,
  ): boolean {
    const key = `${protocol} ${local.address} ${local.port}`;
    if (this.#announced.has(key)) return false;
    const candidate = hostCandidate(local, preference, protocol);
    this.#announced.add(key);
    this.candidates.push(candidate);
    if (this.#isAnnouncing) this.#options.onCandidate(candidate);
    return true;
  }

  #onSelected(path: IcePath): void {
    const { protocol, remote } = path;
    this.#log.debug(
      `${this.#options.name}: connected to ${remote.address} port ${remote.port} over ${protocol}`,
    );
    for (const [key, link] of this.#links) {
      if (!(link instanceof TcpLink) || link.path === path) continue;
      this.#agent.remove(link.path);
      link.close();
      this.#links.delete(key);
    }
    this.#options.onSelected();
  }

  /** From where a path leaves when its socket has every address. */
  #sourceOf(path: IcePath): TransportAddress | undefined {
    if (this.#source?.path === path) return this.#source.local;
    const { remote } = path;
    const port = this.#udp.get(familyOf(remote.address))?.port;
    const address = port === undefined ? undefined : localAddressTowards(remote);
    const local = address === undefined ? undefined : { address, port: port! };
    this.#source = { path, local };
    return local;
  }

  #onLinkLost(path: IcePath): void {
    const wasSelected = this.#selected === path;
    this.#agent.remove(path);
    if (wasSelected && !this.#closed) this.#options.onLost();
  }

  /** Runs once for every packet. Returns whether the path is to be kept. */
  #receive(path: IcePath, packet: Buffer): boolean {
    try {
      return this.#take(path, packet);
    } catch (error) {
      this.#options.onError(error);
      return false;
    }
  }

  #take(path: IcePath, packet: Buffer): boolean {
    if (this.#closed) return false;
    if (!isStun(packet)) {
      if (this.#agent.accepts(path)) this.#options.onPacket(packet);
      return true;
    }
    if (this.#reflexive.length > 0 && this.#isReflexive(packet)) return true;
    const isOurs = this.#agent.receive(path, packet, performance.now());
    if (isOurs) this.#options.onEarlier();
    return isOurs;
  }

  #isReflexive(packet: Buffer): boolean {
    const message = parseStun(packet);
    return message !== undefined && this.#reflexive.some((reflexive) => reflexive.receive(message));
  }

  #later(act: () => void, delayMs: number): void {
    const fire = () => {
      try {
        act();
      } catch (error) {
        this.#options.onError(error);
      }
    };
    this.#timers.push(setTimeout(fire, delayMs).unref());
  }
}

function find(
  candidates: readonly CandidateAddress[],
  { address, port }: TransportAddress,
  protocol: string,
): CandidateAddress | undefined {
  return candidates.find(
    (each) => each.address === address && each.port === port && each.protocol === protocol,
  );
}

/** An address that no candidate line had: of the other side one that its checks came from. */
function unannounced(
  { address, port }: TransportAddress,
  type: string,
  protocol: string,
  priority = 0,
): CandidateAddress {
  return { address, port, type, protocol, foundation: '', priority, tcpType: undefined };
}
