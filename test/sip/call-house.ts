import { type CallSession, IncomingCall, OutgoingCall, SipEndpoint } from '../../src/sip/call/index.js';
import {
  Headers,
  parseUri,
  responseTo,
  type SipRequest,
  type SipUri,
  serializeMessage,
} from '../../src/sip/message/index.js';
import { ManualClock } from '../audio/manual-clock.js';
import { RawPeer } from './raw-peer.js';
import { until } from './until.js';

export const sdp = Buffer.from(
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n',
);

/** A call from us to the peer, and what became of it. */
export interface Dialled {
  call: OutgoingCall;
  outcome: { rings: number; session?: CallSession; failed?: number };
}

/** A call from the peer to us. */
export interface Taken {
  call: IncomingCall;
  session: CallSession;
  /** Why it is over, once it is. */
  ended(): string | undefined;
}

/** An endpoint on a clock that a test holds, and a peer that says whatever a test wants. */
export class CallHouse {
  readonly clock: ManualClock;
  readonly endpoint: SipEndpoint;
  readonly peer: RawPeer;
  /** The parameter of To in requests of the peer, once we have answered its INVITE. */
  tag = '';
  readonly #others: RawPeer[] = [];

  private constructor(clock: ManualClock, endpoint: SipEndpoint, peer: RawPeer) {
    this.clock = clock;
    this.endpoint = endpoint;
    this.peer = peer;
  }

  static async open(): Promise<CallHouse> {
    const clock = new ManualClock();
    const endpoint = await SipEndpoint.open({ host: '127.0.0.1', port: 0, clock });
    return new CallHouse(clock, endpoint, await RawPeer.open(endpoint.port));
  }

  async close(): Promise<void> {
    for (const peer of [this.peer, ...this.#others]) peer.close();
    await this.endpoint.close();
  }

  /** Another address that messages may go to and come from. */
  async anotherPeer(): Promise<RawPeer> {
    const peer = await RawPeer.open(this.endpoint.port);
    this.#others.push(peer);
    return peer;
  }

  /** Requests that have come to the peer so far. */
  sent(method: string): SipRequest[] {
    return this.peer.requests.filter((request) => request.method === method);
  }

  /** Calls the peer. */
  dial(): Dialled {
    const outcome: Dialled['outcome'] = { rings: 0 };
    const named = (user: string) => ({ uri: parseUri(`sip:${user}@127.0.0.1`)!, params: new Map() });
    const call = new OutgoingCall(
      this.endpoint,
      {
        target: parseUri(`sip:1@127.0.0.1:${this.peer.port}`) as SipUri,
        protocol: 'udp',
        from: named('us'),
        to: named('1'),
        offer: () => sdp,
      },
      {
        onRinging: () => outcome.rings++,
        onAnswered: (session) => {
          outcome.session = session;
        },
        onFailed: (status) => {
          outcome.failed = status;
        },
      },
    );
    return { call, outcome };
  }

  /** The peer answers our INVITE as one of its branches. */
  answer(status: number, toTag: string, more: Record<string, string> = {}): void {
    const headers = Headers.of({ Contact: `<sip:${toTag}@127.0.0.1:${this.peer.port}>`, ...more });
    if (status === 200) headers.add('Content-Type', 'application/sdp');
    const invite = this.sent('INVITE').at(-1)!;
    const response = responseTo(invite, status, { toTag, headers, ...(status === 200 ? { body: sdp } : {}) });
    this.peer.send(serializeMessage(response));
  }

  /** The peer answers a request of ours within the call. */
  answerTo(request: SipRequest, status: number, headers: Record<string, string> = {}): void {
    const parts = { headers: Headers.of(headers) };
    this.peer.send(serializeMessage(responseTo(request, status, parts)));
  }

  /** The peer calls, and hears it ring. */
  async beCalled(more: string[] = [], onCall = (call: IncomingCall) => call.ring()): Promise<Taken> {
    let call: IncomingCall | undefined;
    let ended: string | undefined;
    this.endpoint.onInvite = (served) => {
      call = new IncomingCall(this.endpoint, served);
      const end = (why: string) => {
        ended = why;
      };
      call.onCancelled = end;
      onCall(call);
      if (call.isFinished) call.session.onEnded = end;
    };
    this.peer.send(this.fromPeer('INVITE', 1, '', more, sdp.toString()));
    const tagged = () => this.peer.responses('call').find(({ to }) => to.params.has('tag'));
    await until(() => tagged() !== undefined, 'we have said something');
    this.tag = `;tag=${tagged()!.to.params.get('tag')}`;
    return { call: call!, session: call!.session, ended: () => ended };
  }

  /** The peer calls, and is answered at once. */
  async takeCall(more: string[] = []): Promise<Taken> {
    let isAcknowledged = false;
    const taken = await this.beCalled(more, (call) => {
      call.accept(sdp);
      call.session.onAcknowledged = () => {
        isAcknowledged = true;
      };
    });
    this.peer.send(this.fromPeer('ACK', 1));
    await until(() => isAcknowledged, 'the call is there');
    return taken;
  }

  /** A request of the peer's. */
  fromPeer(method: string, sequence: number, toTag = this.tag, more: string[] = [], body = ''): string {
    return [
      `${method} sip:1@127.0.0.1 SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${this.peer.port};branch=z9hG4bK${method}${sequence};rport`,
      'From: <sip:peer@127.0.0.1>;tag=peer',
      `To: <sip:1@127.0.0.1>${toTag}`,
      'Call-ID: call',
      `CSeq: ${sequence} ${method}`,
      `Contact: <sip:peer@127.0.0.1:${this.peer.port}>`,
      'Max-Forwards: 70',
      ...more,
      ...(body && !more.some((line) => line.startsWith('Content-Type:'))
        ? ['Content-Type: application/sdp']
        : []),
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
  }

  /** The peer's request, and our final answer to it. */
  async ask(method: string, sequence: number, more: string[] = [], body = '') {
    this.peer.send(this.fromPeer(method, sequence, this.tag, more, body));
    const find = () =>
      this.peer
        .responses('call')
        .find(({ status, cseq }) => status >= 200 && cseq.sequence === sequence && cseq.method === method);
    await until(() => find() !== undefined, `${method} ${sequence} is answered`);
    return find()!;
  }
}
