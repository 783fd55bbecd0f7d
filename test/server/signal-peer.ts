import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import {
  AddTrackRequest,
  type JoinResponse,
  Ping,
  SessionDescription,
  SignalRequest,
  SignalResponse,
} from '@livekit/protocol';
import { AccessToken, type VideoGrant } from 'livekit-server-sdk';
import { WebSocket } from 'ws';

type Response = SignalResponse['message'];
type ResponseCase = NonNullable<Response['case']>;
type ValueOf<Case extends ResponseCase> = Extract<Response, { case: Case }>['value'];

/** A token as tests need it: made in the past, without grants, by another key. */
export async function signToken(
  identity: string,
  grant: VideoGrant,
  { key = 'devkey', secret = 'secret', ttl = '10m' as string | number } = {},
): Promise<string> {
  const token = new AccessToken(key, secret, { identity, ttl });
  token.addGrant(grant);
  return token.toJwt();
}

/** A token with any claims at all, signed as the server expects it. */
export async function signClaims(
  claims: Record<string, unknown>,
  { secret = 'secret', ttlS = 600, bits = 256 } = {},
): Promise<string> {
  const nowS = Math.floor(Date.now() / 1000);
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const head = encode({ alg: `HS${bits}`, typ: 'JWT' });
  const body = encode({ iss: 'devkey', nbf: nowS - 60, exp: nowS + ttlS, ...claims });
  const signature = createHmac(`sha${bits}`, secret).update(`${head}.${body}`).digest('base64url');
  return `${head}.${body}.${signature}`;
}

/** HTTP status of the answer to a request to join: 101 when it is let in. */
export async function joinStatus(
  url: string,
  token: string,
  query: Record<string, string> = {},
  path = '/rtc',
): Promise<number> {
  const socket = new WebSocket(`${url}${path}?${new URLSearchParams({ access_token: token, ...query })}`);
  const status = await new Promise<number>((resolve) => {
    socket.on('open', () => resolve(101));
    socket.on('unexpected-response', (_request, { statusCode = 0 }) => resolve(statusCode));
    socket.on('error', () => {});
  });
  socket.terminate();
  return status;
}

/** A client that speaks signalling only: what it sends and gets, message by message. */
export class SignalPeer {
  readonly closed: Promise<unknown>;
  join: JoinResponse | undefined;
  #socket: WebSocket;
  #received: Response[] = [];
  #waiters: (() => void)[] = [];
  #pings = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = once(socket, 'close');
    // A refusal is seen by whoever opens; a connection that is cut is seen as closed.
    socket.on('error', () => {});
    socket.on('message', (data: Buffer, isBinary) => {
      const response = isBinary
        ? SignalResponse.fromBinary(data)
        : SignalResponse.fromJsonString(data.toString());
      this.#received.push(response.message);
      for (const wake of this.#waiters.splice(0)) wake();
    });
  }

  /** Opens a signalling path and nothing else. */
  static async open(
    url: string,
    token: string,
    query: Record<string, string> = {},
    path = '/rtc',
  ): Promise<SignalPeer> {
    const parameters = new URLSearchParams({ access_token: token, protocol: '16', sdk: 'js', ...query });
    const socket = new WebSocket(`${url}${path}?${parameters}`);
    const peer = new SignalPeer(socket);
    await once(socket, 'open');
    return peer;
  }

  /** Joins a room and waits for the answer. */
  static async join(
    url: string,
    room: string,
    identity: string,
    grant: VideoGrant = {},
    query: Record<string, string> = {},
  ): Promise<SignalPeer> {
    const peer = await SignalPeer.open(
      url,
      await signToken(identity, { roomJoin: true, room, ...grant }),
      query,
    );
    peer.join = await peer.next('join');
    return peer;
  }

  send(message: SignalRequest['message']): void {
    this.#socket.send(new SignalRequest({ message }).toBinary());
  }

  sendRaw(data: string | Uint8Array): void {
    this.#socket.send(data);
  }

  /** A ping of the WebSocket. */
  ping(): void {
    this.#socket.ping();
  }

  /** Whether a message of this case has come that was not taken. */
  has(kind: ResponseCase): boolean {
    return this.#received.some((message) => message.case === kind);
  }

  /** The next message of this case that has not been taken; others stay for later. */
  async next<Case extends ResponseCase>(kind: Case, withinMs = 15_000): Promise<ValueOf<Case>> {
    const deadlineMs = performance.now() + withinMs;
    for (;;) {
      const at = this.#received.findIndex((message) => message.case === kind);
      if (at >= 0) return this.#received.splice(at, 1)[0]!.value as ValueOf<Case>;
      const remainingMs = deadlineMs - performance.now();
      if (remainingMs <= 0) throw new Error(`no "${kind}" within ${withinMs} ms; others: ${this.#cases()}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, remainingMs);
        this.#waiters.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Resolves when everything that was sent before has been handled; returns how long that took. */
  async settled(withinMs?: number): Promise<number> {
    const startMs = performance.now();
    const timestamp = BigInt(++this.#pings);
    this.send({ case: 'pingReq', value: new Ping({ timestamp }) });
    while ((await this.next('pongResp', withinMs)).lastPingTimestamp !== timestamp);
    return performance.now() - startMs;
  }

  #cases(): string {
    return this.#received.map((message) => message.case).join(', ') || 'none';
  }

  /** Takes messages of this case until one passes. */
  async until<Case extends ResponseCase>(
    kind: Case,
    passes: (value: ValueOf<Case>) => boolean,
  ): Promise<ValueOf<Case>> {
    for (;;) {
      const value = await this.next(kind);
      if (passes(value)) return value;
    }
  }

  /** Publishes a track by its offer alone, without any media; resolves with its sid. */
  async publish(request: Partial<AddTrackRequest> & { cid: string }): Promise<string> {
    this.send({ case: 'addTrack', value: new AddTrackRequest(request) });
    const { track } = await this.next('trackPublished');
    this.offer(request.cid, 'sendonly');
    await this.next('answer');
    return track!.sid;
  }

  /** Offers the microphone `cid`. */
  offer(cid: string, direction: string): void {
    const sdp = audioOffer(cid, { direction });
    this.send({ case: 'offer', value: new SessionDescription({ type: 'offer', sdp }) });
  }

  close(): void {
    this.#socket.close();
  }

  /** Reads nothing of what comes, until it is told to again. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Drops the connection as a network does: without a word. */
  drop(): void {
    this.#socket.terminate();
  }
}

/** A publisher's offer of one microphone, as browsers write it. */
export function audioOffer(cid: string, { direction = 'sendonly', ufrag = 'abcd' } = {}): string {
  return `${[
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111 63 0',
    'c=IN IP4 0.0.0.0',
    `a=ice-ufrag:${ufrag}`,
    'a=ice-pwd:abcdefghijklmnopqrstuvwx',
    `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`,
    'a=setup:actpass',
    'a=mid:0',
    'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level',
    'a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
    'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid',
    `a=${direction}`,
    `a=msid:stream ${cid}`,
    'a=rtcp-mux',
    'a=rtpmap:111 opus/48000/2',
    'a=rtcp-fb:111 transport-cc',
    'a=fmtp:111 minptime=10;useinbandfec=1',
    'a=rtpmap:63 red/48000/2',
    'a=fmtp:63 111/111',
    'a=rtpmap:0 PCMU/8000',
    'a=ssrc:1234 cname:c',
    `a=ssrc:1234 msid:stream ${cid}`,
  ].join('\r\n')}\r\n`;
}
