import { randomBytes } from 'node:crypto';
import { describeError, OffhookError } from '../errors/index.js';
import { limits } from '../limits.js';
import { createLogger, type Logger, type LogSubject } from '../logging/index.js';
import { isRtcp } from '../rtp/index.js';
import { type Certificate, ownCertificate } from './certificate.js';
import { type ConnectionStats, certificateStats } from './connection-stats.js';
import {
  type Description,
  parseDescription,
  type TransportParameters,
  writeDescription,
} from './description.js';
import { DtlsConnection, type DtlsResult } from './dtls/index.js';
import {
  type CandidatePair,
  candidateAddress,
  type IceCandidate,
  type IceCredentials,
  type IceServer,
  IceSession,
  type PacketMeter,
  stunServers,
  turnServers,
  type UdpPort,
} from './ice/index.js';
import { type MediaSection, maxMessageBytes, sctpPort } from './media-section.js';
import { MediaTrack, type MediaTrackOptions, RtpRouter } from './rtp-router.js';
import { type DataChannel, DataChannels } from './sctp/index.js';
import { SrtpContext } from './srtp/index.js';

export type PeerConnectionState = 'new' | 'connecting' | 'connected' | 'failed' | 'closed';

export interface PeerConnectionOptions {
  /** For logs only. */
  name: string;
  /** For logs only. */
  subject?: LogSubject;
  iceServers?: readonly IceServer[];
  /** Sockets of our own, over UDP and TCP by default; none of them for relays alone. */
  protocols?: readonly ('udp' | 'tcp')[];
  /** Local address to send from; all of them without it. */
  bindAddress?: string;
  /** A UDP port that is shared with other connections, and the candidates by which it is reached from outside. */
  shared?: { port: UdpPort; candidates: readonly string[]; meter?: PacketMeter };
  /** Answers ICE checks and sends none. */
  iceLite?: boolean;
  /** What to be in DTLS where the other side leaves the choice; the client begins the handshake. */
  dtlsRole?: 'client' | 'server';
  /** The one of this process without it. */
  certificate?: Certificate;
}

const log = createLogger('transport');
const restartTimeoutMs = 15_000;
const connectTimeoutMs = 30_000;
/** Of exceptions that should not be, in the log. */
const maxReportedErrors = 20;
/** Without `a=max-message-size` in the other side's description (RFC 8841, section 6.1). */
const defaultRemoteMaxMessageBytes = 65_536;

/**
 * One WebRTC peer connection (RFC 8829): ICE, DTLS, SRTP and SCTP, and the descriptions of the sections that its user gives.
 * Negotiates nothing of its own accord, and keeps no sections: they are its user's. All calls return at once.
 */
export class PeerConnection {
  /** A candidate of ours that is in no description yet. */
  onLocalCandidate: (candidate: IceCandidate) => void = () => {};
  /** `closed` when the other side closed the connection; not for a `close` of ours. */
  onStateChange: (state: PeerConnectionState) => void = () => {};
  /** ICE has found a path, the first one or another. */
  onPath: () => void = () => {};
  /** Nothing answers on the path any more, since 1.5 s: time to restart ICE. It may answer again. */
  onSilent: () => void = () => {};
  /** The other side opened a channel. */
  onDataChannel: (channel: DataChannel) => void = () => {};
  /** An RTP or RTCP packet that is no track's. */
  onPacket: (packet: Buffer) => void = () => {};
  #options: PeerConnectionOptions;
  #log: Logger;
  #certificate: Certificate;
  #sessionId = randomBytes(6).readUIntBE(0, 6).toString();
  #version = 0;
  #signaling: 'stable' | 'offered' | 'toAnswer' = 'stable';
  /** The last description of ours. */
  #local: Description | undefined;
  #remote: Description | undefined;
  /** The ICE session that was agreed on, the one that an ICE restart asks for, and the one before until there is a path. */
  #ice: IceSession | undefined;
  #nextIce: IceSession | undefined;
  #previousIce: IceSession | undefined;
  #remoteIce: IceCredentials | undefined;
  /** Candidates of the other side since its last credentials. */
  #remoteCandidates: string[] = [];
  #wentSilent = false;
  #dtls: DtlsConnection | undefined;
  #dtlsRole: 'client' | 'server' | undefined;
  #earlyDatagrams: Buffer[] = [];
  #srtp: SrtpContext | undefined;
  #channels: DataChannels;
  #router = new RtpRouter((packet) => this.onPacket(packet));
  #announcedState: PeerConnectionState = 'new';
  #end: 'failed' | 'closed' | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  #packetsSent = 0;
  #packetsReceived = 0;
  #bytesSent = 0;
  #bytesReceived = 0;
  #lastDtlsSentMs: number | undefined;
  #lastDtlsReceivedMs: number | undefined;
  #errors = 0;

  constructor(options: PeerConnectionOptions) {
    this.#options = options;
    this.#log = log.about(options.subject ?? {});
    this.#certificate = options.certificate ?? ownCertificate();
    this.#channels = new DataChannels({
      localPort: sctpPort,
      remotePort: sctpPort,
      maxMessageBytes,
      now: () => performance.now(),
      onPacket: (packet) => void this.#dtls?.send(packet),
      onChannel: (channel) => this.onDataChannel(channel),
      onTimerChange: () => this.#schedule(),
      onClosed: (error) => {
        if (error) this.#log.debug(`${options.name}: ${describeError(error)}`);
      },
    });
  }

  get state(): PeerConnectionState {
    if (this.#end) return this.#end;
    if (!this.#remoteIce) return 'new';
    const isUp = this.#dtls?.isConnected && this.#ice!.isUsable && this.#signaledRestart === undefined;
    return isUp ? 'connected' : 'connecting';
  }

  /** A restart that we have offered, and that is not answered yet. */
  get #signaledRestart(): IceSession | undefined {
    return this.#signaling === 'offered' ? this.#nextIce : undefined;
  }

  /** Neither failed nor closed. */
  get isOpen(): boolean {
    return this.#end === undefined;
  }

  /** As in the last description of ours. */
  get localParameters(): TransportParameters | undefined {
    return this.#local?.transport;
  }

  /** An offer was made and is not answered yet. */
  get isAwaitingAnswer(): boolean {
    return this.#signaling === 'offered';
  }

  /**
   * Writes an offer of these sections; an offer that was not answered is withdrawn.
   *
   * @param iceRestart with new ICE credentials: the way back when addresses have changed, or at a resumed session
   * @throws OffhookError `OFFHOOK_NOT_SUPPORTED` for a restart before the first answer, `OFFHOOK_TRANSPORT` when an offer is
   *   to be answered, no section is given, or no socket can be had
   */
  offer(sections: readonly MediaSection[], { iceRestart = false }: { iceRestart?: boolean } = {}): string {
    this.#assertOpen();
    if (this.#signaling === 'toAnswer') throw transportError('an offer of the other side is to be answered');
    if (sections.length === 0) throw transportError('an offer needs a section');
    if (iceRestart) this.#beginRestart();
    this.#ice ??= this.#newIce();
    this.#signaling = 'offered';
    const sdp = this.#describe(this.#nextIce ?? this.#ice, 'actpass', sections);
    this.#update();
    return sdp;
  }

  /**
   * Takes the answer to our offer, and connects.
   *
   * @throws OffhookError when it cannot be parsed or no offer awaits one; nothing changes then
   */
  acceptAnswer(description: string | Description): Description {
    this.#assertOpen();
    if (this.#signaling !== 'offered') throw transportError('no offer awaits an answer');
    const answer = typeof description === 'string' ? parseDescription(description) : description;
    this.#assertSamePeer(answer);
    this.#signaling = 'stable';
    const { ufrag, pwd, setup } = answer.transport;
    const changed = this.#isChanged(answer);
    if (this.#nextIce && changed) this.#useNextIce();
    else if (this.#nextIce) this.#declineRestart();
    this.#takeRemote(answer);
    this.#ice!.start({ ufrag, pwd }, !this.#options.iceLite);
    this.#startDtls(setup === 'passive' ? 'client' : 'server');
    this.#update();
    return answer;
  }

  /**
   * Takes an offer, which `answer` answers. One with new ICE credentials restarts ICE.
   *
   * @throws OffhookError when it cannot be parsed, or an offer of ours awaits its answer; nothing changes then
   */
  acceptOffer(description: string | Description): Description {
    this.#assertOpen();
    if (this.#signaling === 'offered') throw transportError('an offer of ours awaits its answer');
    const offer = typeof description === 'string' ? parseDescription(description) : description;
    this.#assertSamePeer(offer);
    if (this.#isChanged(offer)) {
      this.#nextIce?.close();
      this.#nextIce = this.#newIce();
      this.#remoteCandidates = [];
    }
    this.#ice ??= this.#newIce();
    this.#signaling = 'toAnswer';
    this.#takeRemote(offer);
    return offer;
  }

  /**
   * Writes the answer to the offer that was accepted last, and connects.
   *
   * @throws OffhookError `OFFHOOK_TRANSPORT` when there is none
   */
  answer(sections: readonly MediaSection[]): string {
    this.#assertOpen();
    if (this.#signaling !== 'toAnswer') throw transportError('there is no offer to answer');
    const { ufrag, pwd, setup, iceLite } = this.#remote!.transport;
    this.#signaling = 'stable';
    if (this.#nextIce) this.#useNextIce();
    const chosen = setup === 'active' ? 'server' : setup === 'passive' ? 'client' : this.#options.dtlsRole;
    const role = this.#dtlsRole ?? chosen ?? 'client';
    const sdp = this.#describe(this.#ice!, role === 'client' ? 'active' : 'passive', sections);
    this.#ice!.start({ ufrag, pwd }, iceLite && !this.#options.iceLite);
    this.#startDtls(role);
    this.#update();
    return sdp;
  }

  /**
   * Adds a trickled candidate of the other side.
   *
   * @throws OffhookError `OFFHOOK_TRANSPORT` when it is malformed or names a host; nothing changes then
   */
  addIceCandidate({ candidate }: IceCandidate): void {
    if (this.#end || candidate === '') return;
    if (!candidateAddress(candidate)) {
      throw transportError(`the candidate "${candidate.slice(0, 200)}" is malformed or has no address`);
    }
    this.#addCandidate(candidate);
    this.#schedule();
  }

  /** The servers are known later than the first offer was made, and whether only relays are to be used; before its answer is taken. */
  setIceServers(iceServers: readonly IceServer[], relayOnly: boolean): void {
    this.#options = { ...this.#options, iceServers, ...(relayOnly && { protocols: [] }) };
    const servers = { stunServers: stunServers(iceServers), turnServers: turnServers(iceServers) };
    for (const ice of [this.#ice, this.#nextIce]) ice?.setServers(servers, relayOnly);
  }

  /** The packets of one section from now on. */
  addTrack(options: MediaTrackOptions): MediaTrack {
    this.#assertOpen();
    const track = new MediaTrack(options, this.#router, (packet) => this.sendPacket(packet));
    this.#router.add(track, options.ssrcs ?? []);
    return track;
  }

  /** Opens a channel once the connection is up; the descriptions need a section for it (`dataSection`). */
  createDataChannel(label: string, options: { ordered: boolean; maxRetransmits?: number }): DataChannel {
    this.#assertOpen();
    return this.#channels.create(label, options);
  }

  /** Protects and sends one RTP or RTCP packet; false when the connection is not up. Runs once for every packet. */
  sendPacket(packet: Buffer): boolean {
    const srtp = this.#srtp;
    if (!srtp || this.#end) return false;
    return this.#send(isRtcp(packet) ? srtp.protectRtcp(packet) : srtp.protectRtp(packet));
  }

  /** The pair of addresses that ICE selected. */
  get pair(): CandidatePair | undefined {
    return this.#end ? undefined : this.#ice?.pair;
  }

  stats(): ConnectionStats {
    const { remoteCertificate, ...dtls } = this.#dtls?.stats ?? {};
    return {
      packetsSent: this.#packetsSent,
      packetsReceived: this.#packetsReceived,
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      lastDtlsReceivedMs: this.#lastDtlsReceivedMs,
      lastDtlsSentMs: this.#lastDtlsSentMs,
      ice: this.#ice?.stats,
      dtls: 'state' in dtls ? dtls : undefined,
      localCertificate: certificateStats(this.#certificate.der),
      remoteCertificate: remoteCertificate && certificateStats(remoteCertificate),
      channels: this.#channels.all.map(({ label, protocol, id, state, stats }) => ({
        label,
        protocol,
        id,
        state,
        ...stats,
      })),
      channelsOpened: this.#channels.openedCount,
      channelsClosed: this.#channels.closedCount,
    };
  }

  /** Round trip of the last ICE check in milliseconds. */
  get rttMs(): number | undefined {
    return this.#end ? undefined : this.#ice?.rttMs;
  }

  /** Closes every channel and socket; no callback comes afterwards. */
  close(): void {
    if (this.#end === 'closed') return;
    this.#shutDown('closed');
  }

  #shutDown(end: 'failed' | 'closed'): void {
    if (!this.#end) {
      this.#channels.close();
      this.#dtls?.close();
    }
    this.#end = end;
    clearTimeout(this.#timer);
    clearTimeout(this.#deadlineTimer);
    for (const ice of [this.#ice, this.#nextIce, this.#previousIce]) ice?.close();
  }

  #fail(what: string): void {
    if (this.#end) return;
    this.#log.debug(`${this.#options.name}: ${what}`);
    this.#shutDown('failed');
    this.#update();
  }

  /** The other side has left, in order. */
  #closedByPeer(): void {
    if (this.#end) return;
    this.#shutDown('closed');
    this.onStateChange('closed');
  }

  #newIce(): IceSession {
    const {
      name,
      subject = {},
      iceServers = [],
      protocols = ['udp', 'tcp'],
      bindAddress,
      shared,
      iceLite,
    } = this.#options;
    const session: IceSession = new IceSession({
      name,
      subject,
      protocols,
      bindAddress,
      shared: shared && { port: shared.port, owner: this, meter: shared.meter },
      lite: iceLite ?? false,
      stunServers: stunServers(iceServers),
      turnServers: turnServers(iceServers),
      hurried: this.#wentSilent,
      onCandidate: (candidate) => this.onLocalCandidate({ candidate, sdpMid: '0', sdpMLineIndex: 0 }),
      onUsable: () => this.#onUsable(session),
      onSelected: () => {
        this.#wentSilent = false;
      },
      onSilent: () => {
        if (session !== this.#ice) return;
        this.#wentSilent = true;
        this.onSilent();
      },
      onLost: () => {
        if (session === this.#ice) this.#fail('the path no longer answers');
      },
      onPacket: (packet) => this.#receive(packet),
      onEarlier: () => this.#schedule(),
      onError: (error) => this.#report(error),
    });
    return session;
  }

  #beginRestart(): void {
    if (!this.#remoteIce) {
      throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'ICE cannot restart before it has started');
    }
    this.#nextIce?.close();
    this.#nextIce = this.#newIce();
    this.#remoteCandidates = [];
    this.#awaitPath(restartTimeoutMs);
  }

  #useNextIce(): void {
    this.#previousIce?.close();
    this.#previousIce = this.#ice?.isUsable ? this.#ice : undefined;
    if (!this.#previousIce) this.#ice?.close();
    this.#ice = this.#nextIce;
    this.#nextIce = undefined;
    for (const candidate of this.#remoteCandidates) this.#ice!.addCandidate(candidate);
    this.#awaitPath(restartTimeoutMs);
  }

  /** The other side answered with its old credentials: it has not restarted, and what is in use stays. */
  #declineRestart(): void {
    this.#nextIce?.close();
    this.#nextIce = undefined;
    for (const candidate of this.#remoteCandidates) this.#ice!.addCandidate(candidate);
    if (this.#ice!.isUsable) clearTimeout(this.#deadlineTimer);
  }

  #isChanged({ transport: { ufrag, pwd } }: Description): boolean {
    const known = this.#remoteIce;
    return known !== undefined && (known.ufrag !== ufrag || known.pwd !== pwd);
  }

  /** DTLS outlives every description; another certificate would need another connection. */
  #assertSamePeer({ transport }: Description): void {
    const known = this.#remote?.transport.fingerprints;
    if (!known || transport.fingerprints.some((fingerprint) => known.includes(fingerprint))) return;
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'the other side has another certificate than before');
  }

  #takeRemote(description: Description): void {
    const { ufrag, pwd, candidates } = description.transport;
    if (!this.#remoteIce) this.#awaitPath(connectTimeoutMs);
    this.#remote = description;
    this.#remoteIce = { ufrag, pwd };
    for (const candidate of this.#remoteCandidates) (this.#nextIce ?? this.#ice)!.addCandidate(candidate);
    for (const candidate of candidates) this.#addCandidate(candidate);
    this.#router.setExtensions(description.sections.flatMap(({ extensions }) => extensions));
  }

  #addCandidate(candidate: string): void {
    if (this.#remoteCandidates.length < limits.earlyCandidates.value) this.#remoteCandidates.push(candidate);
    // While a restart of ours is not answered they belong to what comes.
    if (!this.#signaledRestart) (this.#nextIce ?? this.#ice)?.addCandidate(candidate);
  }

  #describe(
    ice: IceSession,
    setup: 'actpass' | 'active' | 'passive',
    sections: readonly MediaSection[],
  ): string {
    const { shared, iceLite = false } = this.#options;
    const transport = {
      ...ice.local,
      iceLite,
      fingerprints: [this.#certificate.fingerprint],
      setup,
      candidates: [...(shared?.candidates ?? ice.candidates)],
    };
    this.#local = { transport, sections };
    this.#version++;
    return writeDescription(this.#local, { sessionId: this.#sessionId, version: this.#version });
  }

  /** From when a path is searched until there is one. */
  #awaitPath(timeoutMs: number): void {
    clearTimeout(this.#deadlineTimer);
    this.#deadlineTimer = setTimeout(() => this.#fail('ICE found no path in time'), timeoutMs).unref();
  }

  #onUsable(session: IceSession): void {
    if (session !== this.#ice || this.#end) return;
    this.#previousIce?.close();
    this.#previousIce = undefined;
    if (!this.#nextIce) clearTimeout(this.#deadlineTimer);
    const nowMs = performance.now();
    if (session.rttMs !== undefined) this.#dtls?.setRoundTripMs(session.rttMs);
    this.#dtls?.start(nowMs);
    this.onPath();
    this.#update();
  }

  #startDtls(role: 'client' | 'server'): void {
    if (this.#dtls) {
      this.#startData();
      return;
    }
    this.#dtlsRole = role;
    this.#dtls = new DtlsConnection({
      role,
      certificate: this.#certificate,
      remoteFingerprints: this.#remote!.transport.fingerprints,
      onDatagram: (datagram) => {
        if (this.#send(datagram)) this.#lastDtlsSentMs = performance.now();
      },
      onConnected: (result) => this.#onSecure(result),
      onData: (data) => this.#channels.handlePacket(data, performance.now()),
      onClosed: (error) => (error ? this.#fail(describeError(error)) : this.#closedByPeer()),
    });
    if (this.#ice!.isUsable) this.#onUsable(this.#ice!);
    for (const datagram of this.#earlyDatagrams.splice(0)) this.#receive(datagram);
  }

  #onSecure({ srtp }: DtlsResult): void {
    if (srtp) this.#srtp = new SrtpContext(srtp.profile, srtp.local, srtp.remote);
    this.#startData();
    this.#update();
  }

  /** Data channels work once both sides have a section for them. */
  #startData(): void {
    const isData = ({ kind, rejected }: MediaSection) => kind === 'application' && !rejected;
    const theirs = this.#remote?.sections.find(isData);
    if (!theirs || !this.#local?.sections.some(isData) || !this.#dtls?.isConnected) return;
    this.#channels.remoteMaxMessageBytes = theirs.maxMessageBytes ?? defaultRemoteMaxMessageBytes;
    this.#channels.start(this.#dtlsRole!, performance.now());
    this.#schedule();
  }

  /** Runs once for every packet. */
  #send(packet: Buffer): boolean {
    const isSent = this.#ice?.send(packet) || this.#previousIce?.send(packet) || false;
    if (!isSent) return false;
    this.#packetsSent++;
    this.#bytesSent += packet.length;
    return true;
  }

  /** Tells DTLS from RTP and RTCP by the first byte (RFC 7983). Runs once for every packet. */
  #receive(packet: Buffer): void {
    if (this.#end || packet.length < 8) return;
    this.#packetsReceived++;
    this.#bytesReceived += packet.length;
    const first = packet[0]!;
    if (first >= 128 && first < 192) {
      const plain = isRtcp(packet) ? this.#srtp?.unprotectRtcp(packet) : this.#srtp?.unprotectRtp(packet);
      if (!plain) return;
      this.#router.receive(plain);
    } else if (first >= 20 && first < 64) {
      if (this.#dtls) {
        this.#lastDtlsReceivedMs = performance.now();
        this.#dtls.handleDatagram(packet, this.#lastDtlsReceivedMs);
        this.#schedule();
      } else if (this.#earlyDatagrams.length < limits.earlyDatagrams.value) this.#earlyDatagrams.push(packet);
    }
  }

  #update(): void {
    const { state } = this;
    if (state !== this.#announcedState && state !== 'closed') {
      this.#announcedState = state;
      this.onStateChange(state);
    }
    this.#schedule();
  }

  /** Sets the one timer to the earliest of what is due. A timer that fires too early costs less than one that is moved. */
  #schedule(): void {
    if (this.#end) return;
    const nowMs = performance.now();
    const nextMs = Math.min(
      this.#ice?.nextTimeoutMs(nowMs) ?? Number.POSITIVE_INFINITY,
      this.#dtls?.nextTimeoutMs ?? Number.POSITIVE_INFINITY,
      this.#channels.nextTimeoutMs ?? Number.POSITIVE_INFINITY,
    );
    if (nextMs >= this.#timerMs || nextMs === Number.POSITIVE_INFINITY) return;
    clearTimeout(this.#timer);
    this.#timerMs = nextMs;
    this.#timer = setTimeout(() => this.#onTimer(), Math.max(0, nextMs - nowMs)).unref();
  }

  #onTimer(): void {
    this.#timerMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    try {
      this.#ice?.handleTimeout(nowMs);
      if (isDue(this.#dtls?.nextTimeoutMs, nowMs)) this.#dtls!.handleTimeout(nowMs);
      if (isDue(this.#channels.nextTimeoutMs, nowMs)) this.#channels.handleTimeout(nowMs);
      this.#schedule();
    } catch (error) {
      this.#report(error);
      // It would throw again at the next time.
      this.#fail('a timer failed');
    }
  }

  /** An exception in what the other side sent, or in a timer, ends here: the process carries other connections too. */
  #report(error: unknown): void {
    this.#errors++;
    if (this.#errors > maxReportedErrors) return;
    const where = error instanceof Error ? (error.stack?.split('\n')[1]?.trim() ?? '') : '';
    this.#log.error(`${this.#options.name}: ${describeError(error)} ${where}`);
  }

  #assertOpen(): void {
    if (this.#end === 'closed') throw new OffhookError('OFFHOOK_CLOSED', 'the peer connection is closed');
    if (this.#end) throw new OffhookError('OFFHOOK_TRANSPORT', 'the peer connection has failed');
  }
}

const isDue = (timeoutMs: number | undefined, nowMs: number) => timeoutMs !== undefined && timeoutMs <= nowMs;

function transportError(message: string): OffhookError {
  return new OffhookError('OFFHOOK_TRANSPORT', message);
}
