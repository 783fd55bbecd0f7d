import { isIP, isIPv6 } from 'node:net';
import { limits } from '../limits.js';

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** One payload format of a media section (RFC 8866, section 6.6). */
export interface SdpFormat {
  payloadType: number;
  /** Upper case. */
  name: string;
  clockRate: number;
  channels: number;
  /** The format's fmtp, as it was sent. */
  parameters: string;
}

/** A key for SRTP (RFC 4568). */
export interface SdpCrypto {
  tag: number;
  suite: string;
  /** `inline:…` with what follows it. */
  keyParams: string;
  sessionParams: string;
}

export interface SdpMedia {
  type: string;
  /** 0 refuses the section, or has none. */
  port: number;
  /** `RTP/AVP`, `RTP/SAVP`… */
  protocol: string;
  /** As they stand in the `m=` line. */
  formatList: string[];
  formats: SdpFormat[];
  /** An IP address or host name; undefined when neither the section nor the session has one. */
  address: string | undefined;
  direction: Direction;
  ptimeMs: number | undefined;
  rtcp: { port: number; address: string | undefined } | undefined;
  rtcpMux: boolean;
  crypto: SdpCrypto[];
}

/** What a session description says that matters for a call. */
export interface SdpSession {
  origin: { sessionId: string; version: string };
  media: SdpMedia[];
}

/** Formats whose number alone says what they are (RFC 3551, table 4). */
const staticFormats: Record<number, Omit<SdpFormat, 'payloadType' | 'parameters'>> = {
  0: { name: 'PCMU', clockRate: 8_000, channels: 1 },
  3: { name: 'GSM', clockRate: 8_000, channels: 1 },
  8: { name: 'PCMA', clockRate: 8_000, channels: 1 },
  9: { name: 'G722', clockRate: 8_000, channels: 1 },
  13: { name: 'CN', clockRate: 8_000, channels: 1 },
  18: { name: 'G729', clockRate: 8_000, channels: 1 },
};

const directions: readonly string[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'];

/** Parses a session description (RFC 8866) as far as a call needs it; undefined when it is none. */
export function parseSdp(text: string): SdpSession | undefined {
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  if (lines[0] !== 'v=0' || lines.length > limits.descriptionLines.value) return undefined;
  const session: SdpSession = { origin: { sessionId: '0', version: '0' }, media: [] };
  const shared = { address: undefined as string | undefined, direction: 'sendrecv' as Direction };
  for (const line of lines.slice(1)) {
    const value = line.slice(2);
    if (line[1] !== '=') return undefined;
    const media = session.media.at(-1);
    switch (line[0]) {
      case 'o': {
        const [, sessionId = '0', version = '0'] = value.split(' ');
        session.origin = { sessionId, version };
        break;
      }
      case 'c':
        if (media) media.address = connectionAddress(value) ?? media.address;
        else shared.address = connectionAddress(value);
        break;
      case 'm': {
        const opened = parseMediaLine(value, shared);
        if (!opened || session.media.length >= limits.descriptionSections.value) return undefined;
        session.media.push(opened);
        break;
      }
      case 'a':
        if (media) applyAttribute(media, value);
        else if (directions.includes(value)) shared.direction = value as Direction;
        break;
      default:
    }
  }
  return session;
}

function connectionAddress(value: string): string | undefined {
  const [network, family, address] = value.split(' ');
  if (network !== 'IN' || (family !== 'IP4' && family !== 'IP6')) return undefined;
  const plain = (address ?? '').split('/')[0]!;
  return /^[A-Za-z0-9.:-]{1,253}$/.test(plain) ? plain : undefined;
}

function parseMediaLine(
  value: string,
  shared: { address: string | undefined; direction: Direction },
): SdpMedia | undefined {
  const [, type, portText, protocol, list] =
    /^([a-z0-9-]+) (\d{1,5})(?:\/\d+)? (\S+) (.+)$/i.exec(value) ?? [];
  const port = Number(portText);
  if (type === undefined || port > 65_535) return undefined;
  const formatList = list!.trim().split(/\s+/).slice(0, limits.formatsPerSection.value);
  const formats: SdpFormat[] = [];
  for (const format of formatList) {
    const payloadType = Number(format);
    if (!/^\d{1,3}$/.test(format) || payloadType > 127) continue;
    const known = staticFormats[payloadType] ?? { name: '', clockRate: 0, channels: 1 };
    formats.push({ payloadType, ...known, parameters: '' });
  }
  return {
    type: type.toLowerCase(),
    port,
    protocol: protocol!.toUpperCase(),
    formatList,
    formats,
    address: shared.address,
    direction: shared.direction,
    ptimeMs: undefined,
    rtcp: undefined,
    rtcpMux: false,
    crypto: [],
  };
}

function applyAttribute(media: SdpMedia, attribute: string): void {
  const colon = attribute.indexOf(':');
  const name = colon < 0 ? attribute : attribute.slice(0, colon);
  const value = colon < 0 ? '' : attribute.slice(colon + 1).trim();
  if (directions.includes(name)) media.direction = name as Direction;
  else if (name === 'rtpmap') applyRtpmap(media, value);
  else if (name === 'fmtp') applyFmtp(media, value);
  else if (name === 'ptime') media.ptimeMs = Number(/^\d{1,3}$/.exec(value)?.[0] ?? Number.NaN) || undefined;
  else if (name === 'rtcp-mux') media.rtcpMux = true;
  else if (name === 'rtcp') applyRtcp(media, value);
  else if (name === 'crypto') applyCrypto(media, value);
}

function applyRtpmap({ formats }: SdpMedia, value: string): void {
  const [, type, name, rate, channels] = /^(\d{1,3})\s+([^/\s]+)\/(\d{1,6})(?:\/(\d))?/.exec(value) ?? [];
  const format = formats.find(({ payloadType }) => payloadType === Number(type));
  if (!format || name === undefined) return;
  format.name = name.toUpperCase();
  format.clockRate = Number(rate);
  format.channels = Number(channels ?? 1);
}

function applyFmtp({ formats }: SdpMedia, value: string): void {
  const [, type, parameters] = /^(\d{1,3})\s+(.*)$/.exec(value) ?? [];
  const format = formats.find(({ payloadType }) => payloadType === Number(type));
  if (format) format.parameters = parameters!;
}

function applyRtcp(media: SdpMedia, value: string): void {
  const [portText, ...connection] = value.split(' ');
  const port = Number(portText);
  if (!/^\d{1,5}$/.test(portText ?? '') || port > 65_535) return;
  media.rtcp = { port, address: connectionAddress(connection.join(' ')) };
}

function applyCrypto(media: SdpMedia, value: string): void {
  const [, tag, suite, keyParams, sessionParams] =
    /^(\d{1,9})\s+(\S+)\s+(inline:\S+)\s*(.*)$/i.exec(value) ?? [];
  if (tag === undefined || media.crypto.length >= limits.descriptionSections.value) return;
  media.crypto.push({
    tag: Number(tag),
    suite: suite!,
    keyParams: keyParams!,
    sessionParams: sessionParams!,
  });
}

/** What we write of ourselves. */
export interface LocalSdp {
  sessionId: string;
  version: number;
  /** An IP address. */
  address: string;
  /** Every section of the offer that is answered, ours among them; others have port 0. */
  media: (LocalMedia | RefusedMedia)[];
}

export interface LocalMedia {
  port: number;
  rtcpPort: number;
  protocol: string;
  formats: readonly SdpFormat[];
  direction: Direction;
  ptimeMs: number;
  rtcpMux: boolean;
  crypto?: SdpCrypto;
}

/** A section of the offer that is not taken. */
export interface RefusedMedia {
  refused: Pick<SdpMedia, 'type' | 'protocol' | 'formatList'>;
}

export function writeSdp({ sessionId, version, address, media }: LocalSdp): Buffer {
  const family = isIPv6(address) ? 'IP6' : 'IP4';
  const lines = [
    'v=0',
    `o=offhook ${sessionId} ${version} IN ${family} ${address}`,
    's=offhook',
    `c=IN ${family} ${address}`,
    't=0 0',
    ...media.flatMap((section) => ('refused' in section ? refusedLines(section) : mediaLines(section))),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n`);
}

function refusedLines({ refused: { type, protocol, formatList } }: RefusedMedia): string[] {
  return [`m=${type} 0 ${protocol} ${formatList.join(' ')}`];
}

function mediaLines(media: LocalMedia): string[] {
  const { port, rtcpPort, protocol, formats, direction, ptimeMs, rtcpMux, crypto } = media;
  const lines = [`m=audio ${port} ${protocol} ${formats.map(({ payloadType }) => payloadType).join(' ')}`];
  for (const { payloadType, name, clockRate, channels, parameters } of formats) {
    lines.push(`a=rtpmap:${payloadType} ${name}/${clockRate}${channels > 1 ? `/${channels}` : ''}`);
    if (parameters !== '') lines.push(`a=fmtp:${payloadType} ${parameters}`);
  }
  lines.push(`a=ptime:${ptimeMs}`, `a=${direction}`);
  if (rtcpMux) lines.push('a=rtcp-mux');
  if (!rtcpMux && rtcpPort !== port + 1) lines.push(`a=rtcp:${rtcpPort}`);
  if (crypto) lines.push(`a=crypto:${crypto.tag} ${crypto.suite} ${crypto.keyParams}`);
  return lines;
}

/** Whether an address in a description may be sent to: an IP address that is no multicast or broadcast one. */
export function isUnicast(address: string): boolean {
  if (isIP(address) === 4) return Number(address.split('.')[0]) < 224 && address !== '0.0.0.0';
  return isIP(address) === 6 && !/^ff/i.test(address) && address !== '::';
}
