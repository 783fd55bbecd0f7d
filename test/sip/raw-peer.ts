import { createSocket, type Socket } from 'node:dgram';
import { parseMessage, type SipRequest, type SipResponse } from '../../src/sip/message/index.js';
import { until } from './until.js';

/** A UDP socket that sends text and keeps what comes back: a peer that does whatever a test wants. */
export class RawPeer {
  readonly received: Buffer[] = [];
  /** Requests so far, of whichever call. */
  readonly requests: SipRequest[] = [];
  readonly #responses = new Map<string, SipResponse[]>();
  readonly #socket: Socket;
  readonly #port: number;
  readonly #address: string;

  private constructor(socket: Socket, port: number, address: string) {
    this.#socket = socket;
    this.#port = port;
    this.#address = address;
    socket.on('message', (bytes) => {
      this.received.push(bytes);
      const parsed = parseMessage(bytes);
      if (parsed.kind !== 'message') return;
      const { message } = parsed;
      if (message.kind === 'request') {
        this.requests.push(message);
        return;
      }
      const known = this.#responses.get(message.callId);
      if (known) known.push(message);
      else this.#responses.set(message.callId, [message]);
    });
  }

  /** @param port where it sends to, on this machine */
  static open(port: number, address = '127.0.0.1'): Promise<RawPeer> {
    const socket = createSocket('udp4');
    return new Promise((resolve) =>
      socket.bind(0, '127.0.0.1', () => resolve(new RawPeer(socket, port, address))),
    );
  }

  get port(): number {
    return this.#socket.address().port;
  }

  send(message: Buffer | string): void {
    this.#socket.send(message, this.#port, this.#address);
  }

  /** Methods of the requests so far, in their order, each as often as it came anew. */
  get methods(): string[] {
    const seen = new Set<string>();
    return this.requests.flatMap(({ method, cseq, to }) => {
      const key = `${method} ${cseq.sequence} ${to.params.get('tag')}`;
      if (seen.has(key)) return [];
      seen.add(key);
      return [method];
    });
  }

  /** Responses so far to a Call-ID. */
  responses(callId: string): readonly SipResponse[] {
    return this.#responses.get(callId) ?? [];
  }

  /** The first final response to a Call-ID, or to its requests of one method. */
  async final(callId: string, method?: string): Promise<SipResponse> {
    const isIt = ({ status, cseq }: SipResponse) =>
      status >= 200 && (method === undefined || cseq.method === method);
    const find = () => this.responses(callId).find(isIt);
    await until(() => find() !== undefined, `a final response to ${callId}`);
    return find()!;
  }

  close(): void {
    this.#socket.close();
  }
}

/** What a telephone with one codec offers. */
export const plainSdp = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 4000 RTP/AVP 0',
  '',
].join('\r\n');

/** A request as a simple telephone writes it. */
export function requestOf(
  peer: RawPeer,
  method: string,
  callId: string,
  more: string[] = [],
  body = '',
): string {
  return [
    `${method} sip:1234@127.0.0.1 SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK${callId};rport`,
    `From: <sip:caller@127.0.0.1>;tag=${callId}`,
    'To: <sip:1234@127.0.0.1>',
    `Call-ID: ${callId}`,
    `CSeq: 1 ${method}`,
    `Contact: <sip:caller@127.0.0.1:${peer.port}>`,
    'Max-Forwards: 70',
    ...(body ? ['Content-Type: application/sdp'] : []),
    ...more,
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

let sent = 0;

/**
 * The bytes of a message whose topmost Via asks that the answer comes back to where it came from, with a branch of its
 * own: several messages of RFC 4475 have the same one, as repetitions have.
 */
export function answerHere(message: Buffer): Buffer {
  const [first, ...lines] = message.toString('utf8').split('\r\n');
  const at = lines.findIndex((line) => /^v(?:ia)?\s*:/i.test(line));
  lines[at] = lines[at]!.replace(/^([^;]*)/, '$1;rport').replace(/SIP\/2\.0\/(?:TCP|TLS)/, 'SIP/2.0/UDP');
  sent++;
  lines[at] = lines[at]!.replace(/(branch\s*=\s*z9hG4bK[\w-]+)/, `$1.${sent}`);
  return Buffer.from([first, ...lines].join('\r\n'));
}
