import type { Certificate } from '../certificate.js';
import type { SrtpProfile } from '../srtp/index.js';
import type { ClientHello } from './handshake-messages.js';
import type { KeyAgreement } from './key-agreement.js';
import type { KeySchedule, Role } from './key-schedule.js';
import { type HandshakeMessage, handshakeHeaderBytes, writeHandshakeHeader } from './message-assembler.js';
import type { PeerCertificate } from './peer-certificate.js';
import { alert, type ContentType, contentType, DtlsFault, type HandshakeType } from './protocol.js';
import type { Epoch } from './record-layer.js';

/** What is sent: a whole handshake message with its header, which may go out in pieces, or other content. */
export interface FlightMessage {
  contentType: ContentType;
  epoch: Epoch;
  content: Buffer;
}

/** Messages that are sent together, and again until they are answered (RFC 6347, section 4.2.4). */
export interface Flight {
  messages: FlightMessage[];
  /** Nothing answers the last flight; it is sent again only when the peer repeats its own. */
  isLast?: true;
  /** Every other time that it is sent again, it goes out in two datagrams. */
  isSplitWhenRepeated?: true;
}

/** What is waited for. */
export type HandshakeState =
  | 'hello'
  | 'certificate'
  | 'keyExchange'
  | 'helloDone'
  | 'certificateVerify'
  | 'finished'
  | 'done';

/** What to do with one message in one state. */
export interface Step {
  /**
   * Checks the message, then takes from it what is needed. When it throws a DtlsFault nothing has changed: an
   * unauthenticated message may be forged, and the genuine one may still arrive.
   */
  accept(handshake: Handshake, message: HandshakeMessage): void;
  next: HandshakeState;
  /** The flight that is sent then. */
  answer?: (handshake: Handshake) => Flight;
  /** Not part of what both sides prove to have seen (RFC 6347, section 4.2.1). */
  isOutsideTranscript?: true;
}

/** The full handshake of one role as a table. What it does not list is refused. */
export type Steps = Record<HandshakeState, { [Type in HandshakeType]?: Step }>;

/** What both sides of one handshake have said, and the secrets that follow from it. Pure: no time, no records. */
export class Handshake {
  readonly role: Role;
  readonly certificate: Certificate;
  clientRandom: Buffer = Buffer.alloc(0);
  serverRandom: Buffer = Buffer.alloc(0);
  /** What the client offered, on the server's side. */
  clientHello: ClientHello | undefined;
  /** From a HelloVerifyRequest. */
  cookie: Buffer = Buffer.alloc(0);
  suite = 0;
  srtpProfile: SrtpProfile | undefined;
  keyAgreement: KeyAgreement | undefined;
  /** Between the key exchange and the keys. */
  premasterSecret: Buffer = Buffer.alloc(0);
  peerCertificate: PeerCertificate | undefined;
  /** The server wants ours. */
  certificateRequested = false;
  keys: KeySchedule | undefined;
  /** Every message so far, header and body, except those outside the transcript. */
  transcript: Buffer[] = [];
  #steps: Steps;
  #state: HandshakeState = 'hello';
  #nextSequence = 0;
  /** Accepts or refuses the peer's certificate when it comes. */
  checkCertificate: (certificate: PeerCertificate) => void;

  constructor(
    role: Role,
    steps: Steps,
    certificate: Certificate,
    checkCertificate: (certificate: PeerCertificate) => void,
  ) {
    this.role = role;
    this.#steps = steps;
    this.certificate = certificate;
    this.checkCertificate = checkCertificate;
  }

  get state(): HandshakeState {
    return this.#state;
  }

  get isDone(): boolean {
    return this.#state === 'done';
  }

  /**
   * The next message of the peer; returns what to answer.
   * @throws DtlsFault for a message that is refused; the handshake is as it was before
   */
  receive(message: HandshakeMessage): Flight | undefined {
    const step = this.#steps[this.#state][message.type as HandshakeType];
    if (step === undefined) {
      throw new DtlsFault(
        alert.unexpectedMessage,
        `the peer sent handshake message ${message.type} where another one was due (${this.#state})`,
      );
    }
    step.accept(this, message);
    if (!step.isOutsideTranscript) this.transcript.push(message.raw);
    this.#state = step.next;
    const flight = step.answer?.(this);
    if (this.isDone) this.#forget();
    return flight;
  }

  /** A message of ours, which is part of the transcript from now on. */
  write(type: HandshakeType, body: Buffer, epoch: Epoch = 0): FlightMessage {
    const content = Buffer.allocUnsafe(handshakeHeaderBytes + body.length);
    writeHandshakeHeader(content, type, body.length, this.#nextSequence++, 0, body.length);
    body.copy(content, handshakeHeaderBytes);
    this.transcript.push(content);
    return { contentType: contentType.handshake, epoch, content };
  }

  /** What only a handshake needs: the connection may live for hours. */
  #forget(): void {
    this.transcript = [];
    this.premasterSecret = Buffer.alloc(0);
    this.keyAgreement = undefined;
    this.clientHello = undefined;
  }
}

export const changeCipherSpec: FlightMessage = {
  contentType: contentType.changeCipherSpec,
  epoch: 0,
  content: Buffer.of(1),
};

export const peerOf = (role: Role): Role => (role === 'client' ? 'server' : 'client');

/** The last step of both roles: the peer proves that it has the keys and saw the same messages. */
export function acceptFinished(handshake: Handshake, { body }: HandshakeMessage): void {
  const expected = handshake.keys!.verifyData(peerOf(handshake.role), handshake.transcript);
  if (!expected.equals(body)) {
    throw new DtlsFault(alert.decryptError, "the peer's Finished message does not match the handshake", {
      advice: 'Somebody may be intercepting the connection: if it happens again, examine the network.',
    });
  }
}
