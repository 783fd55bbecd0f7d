import { OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import type { Certificate } from '../certificate.js';
import type { SrtpMasterKey, SrtpProfile } from '../srtp/index.js';
import { clientHelloFlight, clientSteps } from './client-steps.js';
import { FlightSender } from './flight-sender.js';
import { type Flight, Handshake } from './handshake.js';
import type { Role } from './key-schedule.js';
import { type HandshakeMessage, MessageAssembler } from './message-assembler.js';
import type { PeerCertificate } from './peer-certificate.js';
import {
  type Alert,
  alert,
  alertLevel,
  alertName,
  cipherSuiteNames,
  contentType,
  DtlsFault,
  handshakeType,
} from './protocol.js';
import { type Epoch, RecordLayer, type RecordView, recordAt } from './record-layer.js';
import { serverSteps } from './server-steps.js';

const defaultMtuBytes = 1_200;
const defaultHandshakeTimeoutMs = 30_000;
/** How long the handshake waits for progress after a failure that a third party may have forged. */
const doubtMs = 1_000;
const maxContentBytes = 16_384;

/** SRTP as it was negotiated with use_srtp (RFC 5764). */
export interface NegotiatedSrtp {
  profile: SrtpProfile;
  /** For what we send. */
  local: SrtpMasterKey;
  /** For what the peer sends. */
  remote: SrtpMasterKey;
}

export interface DtlsStats {
  state: 'new' | 'connecting' | 'connected' | 'closed';
  role: Role;
  /** Empty before the handshake is complete, as the SRTP profile. */
  cipher: string;
  srtpProfile: SrtpProfile | '';
  /** X.509, as the peer has shown it. */
  remoteCertificate: Buffer | undefined;
}

export interface DtlsResult {
  /** Undefined when the peer did not ask for SRTP. */
  srtp: NegotiatedSrtp | undefined;
}

/** Callbacks run inside the call that causes them. None runs after `close` or `onClosed`. */
export interface DtlsOptions {
  role: Role;
  certificate: Certificate;
  /**
   * From the peer's description: `sha-256 AB:CD:…`. Without them the handshake runs, but the connection is not announced
   * until `setRemoteFingerprints`.
   */
  remoteFingerprints?: readonly string[];
  /** The largest datagram to send; 1200 without it. */
  mtuBytes?: number;
  /** After that time without a connection it fails; 30 seconds without it. */
  handshakeTimeoutMs?: number;
  /** To send to the peer. */
  onDatagram(datagram: Buffer): void;
  /** The handshake is complete and the peer is who it should be. */
  onConnected(result: DtlsResult): void;
  /** Application data. The buffer is the receiver's to keep. */
  onData(data: Buffer): void;
  /** The peer closed the connection, or it failed. */
  onClosed(error?: OffhookError): void;
}

/**
 * DTLS 1.2 as WebRTC uses it (RFC 6347, RFC 8827): bytes and time in, bytes and decisions out. Owns no socket and no timer;
 * every time is of one monotonic clock of the caller's, in milliseconds.
 *
 * A third party that can send on the path cannot end it: records that are not authentic are dropped, and an
 * unauthenticated failure ends the handshake only if the genuine peer makes no progress for a second.
 */
export class DtlsConnection {
  #options: DtlsOptions;
  #records = new RecordLayer();
  #assembler = new MessageAssembler();
  #flights: FlightSender;
  #handshake: Handshake;
  #state: 'new' | 'handshaking' | 'connected' | 'closed' = 'new';
  #writeEpoch: Epoch = 0;
  #remoteFingerprints: readonly string[] | undefined;
  #deadlineMs: number | undefined;
  /** Why a message was refused last, for the error of a handshake that gets no further. */
  #lastFault: DtlsFault | undefined;
  #doubt: { error: OffhookError; alert?: Alert; untilMs: number } | undefined;
  /** Protected records that cannot be read, or not be believed, yet. */
  #early: RecordView[] = [];
  #earlyBytes = 0;

  constructor(options: DtlsOptions) {
    this.#options = options;
    this.#remoteFingerprints = options.remoteFingerprints;
    this.#flights = new FlightSender(this.#records, options.mtuBytes ?? defaultMtuBytes, (datagram) => {
      if (this.#state !== 'closed') options.onDatagram(datagram);
    });
    const steps = options.role === 'client' ? clientSteps : serverSteps;
    this.#handshake = new Handshake(options.role, steps, options.certificate, (certificate) =>
      this.#checkFingerprint(certificate),
    );
  }

  get isConnected(): boolean {
    return this.#state === 'connected';
  }

  get stats(): DtlsStats {
    const { suite, srtpProfile, peerCertificate, isDone } = this.#handshake;
    return {
      state: this.#state === 'handshaking' ? 'connecting' : this.#state,
      role: this.#options.role,
      cipher: (isDone && cipherSuiteNames[suite]) || '',
      srtpProfile: (isDone && srtpProfile) || '',
      remoteCertificate: peerCertificate?.der,
    };
  }

  /** Records that were forged, damaged or repeated. */
  get droppedRecords(): number {
    return this.#records.dropped;
  }

  /** When `handleTimeout` is due; undefined while nothing is waited for. */
  get nextTimeoutMs(): number | undefined {
    if (this.#state === 'closed' || this.#state === 'new') return undefined;
    const times = [this.#flights.nextTimeoutMs, this.#deadlineMs, this.#doubt?.untilMs];
    const next = Math.min(...times.map((time) => time ?? Number.POSITIVE_INFINITY));
    return Number.isFinite(next) ? next : undefined;
  }

  /** There is a path to the peer: a client sends its hello, a server begins to wait. */
  start(nowMs: number): void {
    if (this.#state !== 'new') return;
    this.#state = 'handshaking';
    this.#deadlineMs = nowMs + (this.#options.handshakeTimeoutMs ?? defaultHandshakeTimeoutMs);
    if (this.#options.role === 'client') this.#flights.send(clientHelloFlight(this.#handshake), nowMs);
  }

  /** From the peer's description. They are not looked at any more once the connection is there. */
  setRemoteFingerprints(fingerprints: readonly string[], nowMs: number): void {
    if (this.#state === 'connected' || this.#state === 'closed') return;
    this.#remoteFingerprints = fingerprints;
    const { peerCertificate } = this.#handshake;
    if (peerCertificate === undefined) return;
    try {
      this.#checkFingerprint(peerCertificate);
    } catch (error) {
      this.#fail(error as DtlsFault, (error as DtlsFault).alert);
      return;
    }
    this.#announce(nowMs);
  }

  /** What ICE measured, from which the time before a flight is sent again follows. */
  setRoundTripMs(roundTripMs: number): void {
    this.#flights.setRoundTripMs(roundTripMs);
  }

  /** Takes a datagram of the peer's, or what somebody made look like one. The buffer is not kept. */
  handleDatagram(datagram: Buffer, nowMs: number): void {
    if (this.#state === 'new' && this.#options.role === 'server') this.start(nowMs);
    if (this.#state === 'new') return;
    for (
      let record = recordAt(datagram, 0);
      record !== undefined && !this.#isClosed();
      record = recordAt(datagram, record.end)
    ) {
      this.#handleRecord(record, nowMs);
    }
  }

  /** Sends application data as one record; false, and nothing is sent, without a connection or for more than 16 KB. */
  send(data: Buffer): boolean {
    if (this.#state !== 'connected' || data.length > maxContentBytes) return false;
    this.#options.onDatagram(this.#records.seal(contentType.applicationData, 1, data));
    return true;
  }

  handleTimeout(nowMs: number): void {
    if (this.#state === 'closed' || this.#state === 'new') return;
    if (this.#doubt !== undefined && nowMs >= this.#doubt.untilMs) {
      this.#fail(this.#doubt.error, this.#doubt.alert);
    } else if (this.#deadlineMs !== undefined && nowMs >= this.#deadlineMs) {
      this.#fail(this.#deadlineError());
    } else {
      this.#flights.handleTimeout(nowMs);
    }
  }

  /** RFC 5705, without a context. Undefined without a connection. */
  exportKeyingMaterial(label: string, length: number): Buffer | undefined {
    return this.isConnected ? this.#handshake.keys!.exportKeyingMaterial(label, length) : undefined;
  }

  /** Tells the peer, and forgets everything. */
  close(): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'new') this.#sendAlert(alertLevel.warning, alert.closeNotify);
    this.#end();
  }

  /** Runs once for each record. */
  #handleRecord(record: RecordView, nowMs: number): void {
    const { type, epoch } = record;
    if (epoch > 1) return;
    const isEarly =
      epoch === 1 &&
      (!this.#records.hasKeys || (type === contentType.applicationData && this.#state === 'handshaking'));
    if (isEarly) {
      this.#keepEarly(record);
      return;
    }
    const content = this.#records.open(record);
    if (content === undefined) return;
    if (type === contentType.applicationData) {
      if (epoch === 1) this.#options.onData(content);
    } else if (type === contentType.handshake) {
      this.#handleHandshake(content, epoch as Epoch, nowMs);
    } else if (type === contentType.alert && content.length === 2) {
      this.#handleAlert(content[0]!, content[1]!, epoch as Epoch, nowMs);
    }
    // ChangeCipherSpec records are ignored: the epoch in each record's header says the same.
  }

  #keepEarly({ datagram, at, end, type, epoch }: RecordView): void {
    if (
      this.#early.length >= limits.dtlsEarlyRecords.value ||
      this.#earlyBytes + end - at > limits.dtlsEarlyBytes.value
    )
      return;
    const copy = Buffer.from(datagram.subarray(at, end));
    this.#early.push({ datagram: copy, at: 0, end: copy.length, type, epoch });
    this.#earlyBytes += copy.length;
  }

  #handleEarly(nowMs: number): void {
    const early = this.#early;
    this.#early = [];
    this.#earlyBytes = 0;
    for (const record of early) if (!this.#isClosed()) this.#handleRecord(record, nowMs);
  }

  #handleHandshake(content: Buffer, epoch: Epoch, nowMs: number): void {
    if (this.#handshake.isDone) {
      // Now only what is authentic counts: anybody can write a ClientHello.
      if (epoch === 0) return;
      if (content[0] === handshakeType.clientHello) {
        this.#sendAlert(alertLevel.warning, alert.noRenegotiation);
        return;
      }
    }
    const arrival = this.#assembler.add(content, epoch);
    if (arrival === 'repeated') this.#flights.repeat(nowMs);
    else if (arrival === 'new') this.#advance(nowMs);
  }

  /** Hands over the messages that are whole and in order. */
  #advance(nowMs: number): void {
    for (
      let message = this.#assembler.next();
      message !== undefined && !this.#isClosed();
      message = this.#assembler.next()
    ) {
      this.#handleMessage(message, nowMs);
    }
  }

  #handleMessage(message: HandshakeMessage, nowMs: number): void {
    let flight: Flight | undefined;
    try {
      flight = this.#handshake.receive(message);
    } catch (error) {
      this.#assembler.reject();
      this.#refuse(asFault(error), message, nowMs);
      return;
    }
    this.#assembler.accept();
    this.#doubt = undefined;
    const { keys, isDone } = this.#handshake;
    const hasNewKeys = keys !== undefined && !this.#records.hasKeys;
    if (hasNewKeys) this.#records.setKeys(keys.recordKeys(this.#options.role));
    if (flight !== undefined) this.#sendFlight(flight, nowMs);
    else if (isDone) this.#flights.stop();
    if (isDone) this.#announce(nowMs);
    else if (hasNewKeys) this.#handleEarly(nowMs);
  }

  #refuse(fault: DtlsFault, { epoch }: HandshakeMessage, nowMs: number): void {
    this.#lastFault = fault;
    // Only the peer has the keys for a protected message.
    if (epoch === 1) this.#fail(fault, fault.alert);
    // A malformed message is probably forged: it is dropped, and the peer sends the genuine one again.
    else if (!fault.isGarbage) this.#doubtHandshake(fault, nowMs, fault.alert);
  }

  #sendFlight(flight: Flight, nowMs: number): void {
    if (flight.messages.some(({ epoch }) => epoch === 1)) this.#writeEpoch = 1;
    this.#assembler.answer();
    this.#flights.send(flight, nowMs);
  }

  /** The connection is there once the handshake is complete and the peer's certificate is the announced one. */
  #announce(nowMs: number): void {
    const { isDone, keys, role, srtpProfile } = this.#handshake;
    if (!isDone || this.#remoteFingerprints === undefined || this.#state !== 'handshaking') return;
    this.#state = 'connected';
    this.#deadlineMs = undefined;
    const srtp = srtpProfile && { profile: srtpProfile, ...keys!.srtpKeys(srtpProfile, role) };
    this.#options.onConnected({ srtp });
    this.#handleEarly(nowMs);
  }

  /** @throws DtlsFault when the certificate is not the announced one */
  #checkFingerprint(certificate: PeerCertificate): void {
    if (this.#remoteFingerprints === undefined || certificate.matches(this.#remoteFingerprints)) return;
    throw new DtlsFault(alert.badCertificate, "the peer's certificate is not the one in its description", {
      advice:
        'Somebody may be intercepting the connection, or the description belongs to another connection.',
    });
  }

  #handleAlert(level: number, description: number, epoch: Epoch, nowMs: number): void {
    const ends = level === alertLevel.fatal || description === alert.closeNotify;
    if (!ends || (epoch === 0 && this.#handshake.isDone)) return;
    const isClose = description === alert.closeNotify;
    const error = new OffhookError(
      'OFFHOOK_TRANSPORT',
      isClose
        ? 'the peer closed the DTLS handshake'
        : `the peer ended DTLS with the alert ${alertName(description)}`,
      { stage: 'dtls' },
    );
    if (epoch === 0) {
      this.#doubtHandshake(error, nowMs);
    } else if (isClose && this.#state === 'connected') {
      this.#sendAlert(alertLevel.warning, alert.closeNotify);
      this.#end();
      this.#options.onClosed();
    } else {
      this.#fail(error);
    }
  }

  /**
   * Fails the handshake unless a valid message follows. Before there are keys, an alert or a refused message may come
   * from anybody who can send on the path.
   */
  #doubtHandshake(error: OffhookError, nowMs: number, alertToPeer?: Alert): void {
    this.#doubt ??= {
      error,
      untilMs: nowMs + doubtMs,
      ...(alertToPeer !== undefined && { alert: alertToPeer }),
    };
  }

  #deadlineError(): OffhookError {
    const elapsedMs = this.#options.handshakeTimeoutMs ?? defaultHandshakeTimeoutMs;
    const message = this.#handshake.isDone
      ? "the peer's fingerprint was not announced"
      : `the DTLS handshake got no further than ${this.#handshake.state}`;
    return new OffhookError('OFFHOOK_DEADLINE', message, {
      stage: 'dtls',
      elapsedMs,
      cause: this.#lastFault,
      advice: 'If ICE works and this does not, look for a path that loses large packets (MTU).',
    });
  }

  #sendAlert(level: number, description: Alert): void {
    const record = this.#records.seal(contentType.alert, this.#writeEpoch, Buffer.of(level, description));
    this.#options.onDatagram(record);
  }

  #fail(error: OffhookError, alertToPeer?: Alert): void {
    if (alertToPeer !== undefined) this.#sendAlert(alertLevel.fatal, alertToPeer);
    this.#end();
    this.#options.onClosed(error);
  }

  #end(): void {
    this.#state = 'closed';
    this.#flights.stop();
    this.#assembler = new MessageAssembler();
    this.#early = [];
    this.#earlyBytes = 0;
  }

  /** A callback may have closed it meanwhile. */
  #isClosed(): boolean {
    return this.#state === 'closed';
  }
}

function asFault(error: unknown): DtlsFault {
  if (error instanceof DtlsFault) return error;
  return new DtlsFault(alert.internalError, 'the handshake failed', { cause: error });
}
