import { limits } from '../limits.js';
import { splitList } from './cursor.js';
import {
  type CSeq,
  type NameAddr,
  parseCSeq,
  parseNameAddr,
  parseNumber,
  parseVia,
  type Via,
} from './headers.js';
import { Headers, nameAddrs, type SipMessage, type SipRequest } from './message.js';
import { isSipUri, parseUri } from './uri.js';

/**
 * What became of some bytes: a message; or a request that cannot be accepted, with what is needed to say so; or
 * nothing that could be answered.
 */
export type ParseResult =
  | { kind: 'message'; message: SipMessage }
  | { kind: 'refused'; status: number; why: string; answerable: SipRequest | undefined }
  | { kind: 'unusable'; why: string };

const compactNames: Record<string, string> = {
  a: 'Accept-Contact',
  b: 'Referred-By',
  c: 'Content-Type',
  d: 'Request-Disposition',
  e: 'Content-Encoding',
  f: 'From',
  i: 'Call-ID',
  j: 'Reject-Contact',
  k: 'Supported',
  l: 'Content-Length',
  m: 'Contact',
  o: 'Event',
  r: 'Refer-To',
  s: 'Subject',
  t: 'To',
  u: 'Allow-Events',
  v: 'Via',
  x: 'Session-Expires',
};

const namePattern = /^[A-Za-z0-9\-.!%*_+`'~]+$/;
const requestLine = /^([A-Za-z0-9\-.!%*_+`'~]+) (\S+) (SIP\/\d+\.\d+)$/i;
const statusLine = /^SIP\/2\.0 ([1-6]\d\d)(?: (.*))?$/i;
const emptyBody = Buffer.alloc(0);

/** Where the header block ends and the body begins; undefined when the empty line is not there. */
export function findBody(bytes: Buffer): { headEnd: number; bodyStart: number } | undefined {
  const crlf = bytes.indexOf('\r\n\r\n');
  const lf = bytes.indexOf('\n\n');
  if (crlf >= 0 && (lf < 0 || crlf < lf)) return { headEnd: crlf, bodyStart: crlf + 4 };
  return lf < 0 ? undefined : { headEnd: lf, bodyStart: lf + 2 };
}

interface Head {
  startLine: string;
  fields: Map<string, string[]>;
  headers: Headers;
  malformed: string | undefined;
}

/** Unfolds and splits the header block, without understanding the values. */
function readHead(text: string): Head {
  const lines = text.split(/\r?\n/);
  const startLine = lines[0] ?? '';
  const unfolded: string[] = [];
  for (const line of lines.slice(1)) {
    if (/^[ \t]/.test(line) && unfolded.length > 0) unfolded[unfolded.length - 1] += ` ${line.trim()}`;
    else unfolded.push(line);
  }
  const fields = new Map<string, string[]>();
  const headers = new Headers();
  let malformed: string | undefined;
  if (unfolded.length > limits.headers.value) malformed = `more than ${limits.headers.value} headers`;
  for (const line of unfolded.slice(0, limits.headers.value)) {
    const colon = line.indexOf(':');
    const written = line.slice(0, Math.max(0, colon)).trimEnd();
    if (!namePattern.test(written)) {
      malformed ??= 'a header line without a name';
      continue;
    }
    const name = compactNames[written.toLowerCase()] ?? written;
    const value = line.slice(colon + 1).trim();
    const key = name.toLowerCase();
    fields.set(key, [...(fields.get(key) ?? []), value]);
    if (!ownFields.has(key)) headers.add(name, value);
  }
  return { startLine, fields, headers, malformed };
}

const ownFields = new Set(['via', 'from', 'to', 'call-id', 'cseq', 'content-length']);

/** What could be read of the headers that every message needs, and the first thing that is wrong with them. */
interface Identity {
  vias: Via[];
  from: NameAddr;
  to: NameAddr;
  callId: string;
  cseq: CSeq;
}

function single(fields: Map<string, string[]>, name: string): string | undefined {
  const values = fields.get(name.toLowerCase()) ?? [];
  return values.length === 1 ? values[0] : undefined;
}

function readVias(fields: Map<string, string[]>): Via[] | undefined {
  const parts = (fields.get('via') ?? []).flatMap(splitList);
  if (parts.length === 0 || parts.length > limits.vias.value) return undefined;
  const vias = parts.map(parseVia);
  return vias.includes(undefined) ? undefined : (vias as Via[]);
}

/** The identity of a message, or the name of the header that is missing, repeated or malformed. */
function readIdentity(fields: Map<string, string[]>): Identity | string {
  const vias = readVias(fields);
  if (!vias) return 'Via';
  const from = parseNameAddr(single(fields, 'From') ?? '');
  if (!from) return 'From';
  const to = parseNameAddr(single(fields, 'To') ?? '');
  if (!to) return 'To';
  const callId = single(fields, 'Call-ID');
  if (!callId || /\s/.test(callId)) return 'Call-ID';
  const cseq = parseCSeq(single(fields, 'CSeq') ?? '');
  if (!cseq) return 'CSeq';
  return { vias, from, to, callId, cseq };
}

/**
 * Parses one message. A body beyond Content-Length is left out, as a datagram's must be (RFC 3261, section 18.3).
 *
 * @param bytes a datagram, or what {@link StreamFraming} cut out of a stream
 */
export function parseMessage(bytes: Buffer): ParseResult {
  const found = findBody(bytes) ?? { headEnd: bytes.length, bodyStart: bytes.length };
  if (found.headEnd > limits.headBytes.value) return { kind: 'unusable', why: 'the headers are too long' };
  const head = readHead(bytes.toString('utf8', 0, found.headEnd));
  if (/^SIP\//i.test(head.startLine)) return parseResponse(head, bytes.subarray(found.bodyStart));
  return parseRequest(head, bytes.subarray(found.bodyStart));
}

function parseResponse(head: Head, rest: Buffer): ParseResult {
  const [, status, reason] = statusLine.exec(head.startLine) ?? [];
  if (status === undefined) return { kind: 'unusable', why: 'the status line is malformed' };
  const identity = readIdentity(head.fields);
  if (typeof identity === 'string') return { kind: 'unusable', why: `${identity} is missing or malformed` };
  const body = readBody(head.fields, rest);
  if (typeof body === 'string') return { kind: 'unusable', why: body };
  const { headers } = head;
  return {
    kind: 'message',
    message: { kind: 'response', status: Number(status), reason: reason ?? '', ...identity, headers, body },
  };
}

function parseRequest(head: Head, rest: Buffer): ParseResult {
  const start = requestLine.exec(head.startLine);
  const methodText = start?.[1] ?? head.startLine.split(' ')[0] ?? '';
  if (!namePattern.test(methodText)) return { kind: 'unusable', why: 'this is not a SIP message' };
  const identity = readIdentity(head.fields);
  const answerable = answerableRequest(methodText, head, identity);
  const refuse = (status: number, why: string): ParseResult => ({ kind: 'refused', status, why, answerable });
  if (!start) return refuse(400, 'Malformed Request-Line');
  const [, method, uriText, version] = start;
  if (version!.toUpperCase() !== 'SIP/2.0') return refuse(505, 'Version Not Supported');
  if (typeof identity === 'string') return refuse(400, `Missing or malformed ${identity}`);
  if (head.malformed !== undefined) return refuse(400, `Malformed message: ${head.malformed}`);
  if (identity.cseq.method !== method) return refuse(400, 'CSeq names another method');
  const uri = parseUri(uriText!);
  if (!uri) return refuse(400, 'Malformed Request-URI');
  if (isSipUri(uri) && uri.headers !== '') return refuse(400, 'Request-URI with headers');
  const body = readBody(head.fields, rest);
  if (typeof body === 'string') return refuse(400, body);
  const problem = checkValues(head);
  if (problem !== undefined) return refuse(400, problem);
  const { headers } = head;
  return { kind: 'message', message: { kind: 'request', method: method!, uri, ...identity, headers, body } };
}

/** The values of optional headers that decide what happens with a request. */
function checkValues({ fields, headers }: Head): string | undefined {
  const hops = fields.get('max-forwards') ?? [];
  if (hops.length > 1 || (hops.length === 1 && parseNumber(hops[0]!, 255) === undefined)) {
    return 'Malformed Max-Forwards';
  }
  for (const name of ['Contact', 'Route', 'Record-Route']) {
    if (name === 'Contact' && headers.get('Contact')?.trim() === '*') continue;
    // An empty element between commas is malformed too, which a list would pass over.
    const parts = headers.getAll(name).flatMap(splitList);
    if (parts.includes('') || !nameAddrs(headers, name)) return `Malformed ${name}`;
  }
  return undefined;
}

/** The body, or what is wrong with its length. */
function readBody(fields: Map<string, string[]>, rest: Buffer): Buffer | string {
  const lengths = fields.get('content-length') ?? [];
  if (lengths.length === 0) return rest.length > limits.bodyBytes.value ? 'The body is too long' : rest;
  const length = parseNumber(lengths[0]!, limits.bodyBytes.value);
  if (lengths.length > 1 || length === undefined) return 'Malformed Content-Length';
  if (length > rest.length) return 'Content-Length is longer than the message';
  return length === 0 ? emptyBody : rest.subarray(0, length);
}

/**
 * As much of a malformed request as a refusal needs: its Via above all, which says where to send it. Undefined when
 * that cannot be read, or for an ACK, which is never answered.
 */
function answerableRequest(
  method: string,
  { fields }: Head,
  identity: Identity | string,
): SipRequest | undefined {
  if (method === 'ACK') return undefined;
  const uri = parseUri('sip:unreadable.invalid')!;
  const rest = { kind: 'request', method, uri, headers: new Headers(), body: emptyBody } as const;
  if (typeof identity !== 'string') return { ...rest, ...identity };
  const vias = readVias(fields);
  if (!vias) return undefined;
  const nobody = parseNameAddr('<sip:unreadable.invalid>')!;
  const first = (name: string) => fields.get(name)?.[0] ?? '';
  return {
    ...rest,
    vias,
    from: parseNameAddr(first('from')) ?? nobody,
    to: parseNameAddr(first('to')) ?? nobody,
    callId: first('call-id').split(/\s/)[0] || 'unreadable',
    cseq: parseCSeq(first('cseq')) ?? { sequence: 0, method },
  };
}
