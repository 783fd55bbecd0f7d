import { randomBytes } from 'node:crypto';
import { splitList } from './cursor.js';
import {
  type CSeq,
  formatNameAddr,
  formatVia,
  type NameAddr,
  parseNameAddr,
  tagOf,
  type Via,
} from './headers.js';
import { formatUri, type Uri } from './uri.js';

/** Headers by name, in order; names are matched without regard to case. */
export class Headers {
  #fields: { name: string; value: string }[];

  constructor(fields: Iterable<{ name: string; value: string }> = []) {
    this.#fields = [...fields];
  }

  static of(fields: Readonly<Record<string, string>>): Headers {
    return new Headers(Object.entries(fields).map(([name, value]) => ({ name, value })));
  }

  get(name: string): string | undefined {
    const key = name.toLowerCase();
    return this.#fields.find((field) => field.name.toLowerCase() === key)?.value;
  }

  getAll(name: string): string[] {
    const key = name.toLowerCase();
    return this.#fields.filter((field) => field.name.toLowerCase() === key).map(({ value }) => value);
  }

  /** The parts of a header whose value is a list, whether sent as one header or as several. */
  list(name: string): string[] {
    return this.getAll(name)
      .flatMap(splitList)
      .filter((part) => part !== '');
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  add(name: string, value: string): this {
    this.#fields.push({ name, value });
    return this;
  }

  /** Puts one header in place of all of that name. */
  set(name: string, value: string): this {
    this.delete(name);
    return this.add(name, value);
  }

  delete(name: string): void {
    const key = name.toLowerCase();
    this.#fields = this.#fields.filter((field) => field.name.toLowerCase() !== key);
  }

  clone(): Headers {
    return new Headers(this.#fields);
  }

  [Symbol.iterator](): Iterator<{ readonly name: string; readonly value: string }> {
    return this.#fields[Symbol.iterator]();
  }
}

/** What every message has. `headers` holds all the headers that have no field of their own here. */
interface MessageHead {
  /** The last hop first. */
  vias: Via[];
  from: NameAddr;
  to: NameAddr;
  callId: string;
  cseq: CSeq;
  headers: Headers;
  body: Buffer;
}

export interface SipRequest extends MessageHead {
  kind: 'request';
  method: string;
  uri: Uri;
}

export interface SipResponse extends MessageHead {
  kind: 'response';
  status: number;
  reason: string;
}

export type SipMessage = SipRequest | SipResponse;

const noBody = Buffer.alloc(0);

/** The wire form of a message. Line breaks in values are removed, so that no value can add a header. */
export function serializeMessage(message: SipMessage): Buffer {
  const { vias, from, to, callId, cseq, headers, body } = message;
  const start =
    message.kind === 'request'
      ? `${message.method} ${formatUri(message.uri)} SIP/2.0`
      : `SIP/2.0 ${message.status} ${message.reason}`;
  const lines = [
    start,
    ...vias.map((via) => `Via: ${formatVia(via)}`),
    `From: ${formatNameAddr(from)}`,
    `To: ${formatNameAddr(to)}`,
    `Call-ID: ${callId}`,
    `CSeq: ${cseq.sequence} ${cseq.method}`,
  ];
  for (const { name, value } of headers) lines.push(`${name}: ${value}`);
  lines.push(`Content-Length: ${body.length}`);
  const head = lines.map((line) => line.replace(/[\r\n]+/g, ' ')).join('\r\n');
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`), body]);
}

const reasons: Record<number, string> = {
  100: 'Trying',
  180: 'Ringing',
  181: 'Call Is Being Forwarded',
  182: 'Queued',
  183: 'Session Progress',
  200: 'OK',
  202: 'Accepted',
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  416: 'Unsupported URI Scheme',
  420: 'Bad Extension',
  421: 'Extension Required',
  422: 'Session Interval Too Small',
  423: 'Interval Too Brief',
  480: 'Temporarily Unavailable',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  486: 'Busy Here',
  487: 'Request Terminated',
  488: 'Not Acceptable Here',
  489: 'Bad Event',
  491: 'Request Pending',
  500: 'Server Internal Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  504: 'Server Time-out',
  505: 'Version Not Supported',
  513: 'Message Too Large',
  603: 'Decline',
};

export function reasonOf(status: number): string {
  return reasons[status] ?? 'Unknown';
}

interface ResponseParts {
  reason?: string;
  /** Added to To when the request has none. */
  toTag?: string;
  headers?: Headers;
  body?: Buffer;
}

/** A response to `request`, with the headers that it must copy (RFC 3261, section 8.2.6). */
export function responseTo(request: SipRequest, status: number, parts: ResponseParts = {}): SipResponse {
  const { toTag, headers = new Headers(), body = noBody, reason = reasonOf(status) } = parts;
  const to: NameAddr = { ...request.to, params: new Map(request.to.params) };
  if (toTag !== undefined && tagOf(to) === undefined) to.params.set('tag', toTag);
  const all = new Headers();
  const timestamp = request.headers.get('Timestamp');
  if (status === 100 && timestamp !== undefined) all.add('Timestamp', timestamp);
  if (status > 100 && status < 300) {
    for (const route of request.headers.getAll('Record-Route')) all.add('Record-Route', route);
  }
  for (const { name, value } of headers) all.add(name, value);
  const { vias, from, callId, cseq } = request;
  return { kind: 'response', status, reason, vias, from, to, callId, cseq, headers: all, body };
}

/** The addresses of Contact, Route, Record-Route or another list of name-addrs; undefined when one is malformed. */
export function nameAddrs(headers: Headers, name: string): NameAddr[] | undefined {
  const parsed = headers.list(name).map(parseNameAddr);
  return parsed.includes(undefined) ? undefined : (parsed as NameAddr[]);
}

/** Whether a list of option tags (Require, Supported) names `tag`. */
export function hasOption({ headers }: SipMessage, name: 'Require' | 'Supported', tag: string): boolean {
  return headers.list(name).some((option) => option.toLowerCase() === tag);
}

/** The prefix by which a branch says that it is unique (RFC 3261, section 8.1.1.7). */
export const branchCookie = 'z9hG4bK';

export const newBranch = (): string => `${branchCookie}${randomBytes(9).toString('base64url')}`;
/** A tag, or another identifier nobody can guess: 12 characters, 72 bits. */
export const newTag = (): string => randomBytes(9).toString('base64url');
