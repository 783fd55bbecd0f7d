import { OffhookError } from '../errors/index.js';
import { limits } from '../limits.js';
import {
  type Codec,
  type Direction,
  isSending,
  type MediaSection,
  maxMessageBytes,
  sctpPort,
} from './media-section.js';

export type { Codec, MediaSection };

/** What two sides must know of each other to bring up ICE, DTLS and SCTP (RFC 8839, 8842, 8841). */
export interface TransportParameters {
  ufrag: string;
  pwd: string;
  iceLite: boolean;
  /** `sha-256 AB:CD:…` */
  fingerprints: string[];
  setup: 'actpass' | 'active' | 'passive';
  /** `candidate:…`, each once. */
  candidates: string[];
}

/** A session description (RFC 8866) in which every section is bundled on one transport (RFC 9143). */
export interface Description {
  transport: TransportParameters;
  /** In order, rejected ones too. */
  sections: readonly MediaSection[];
}

/** A section while it is read. */
interface Draft extends MediaSection {
  codecs: Codec[];
  extensions: { id: number; uri: string }[];
  sources: { ssrc: number; cname: string; repairSsrc?: number }[];
  rids: { id: string; direction: 'send' | 'recv' }[];
}

/** What stands in the session part holds for every section that does not say otherwise; the first word counts. */
interface DraftTransport {
  ufrag?: string;
  pwd?: string;
  setup?: string;
  iceLite: boolean;
  fingerprints: Set<string>;
  candidates: Set<string>;
}

/**
 * Parses a session description. What is unknown in it is passed over.
 *
 * @throws OffhookError `OFFHOOK_PROTOCOL` when it is not SDP, lacks ICE credentials or a fingerprint, or it or one of its
 *   names is too long
 */
export function parseDescription(sdp: string): Description {
  if (sdp.length > limits.descriptionChars.value) throw protocolError('the session description is too long');
  if (!sdp.startsWith('v=0')) throw protocolError('the session description does not begin with v=0');
  const transport: DraftTransport = { iceLite: false, fingerprints: new Set(), candidates: new Set() };
  const sections: Draft[] = [];
  for (const line of sdp.split('\n')) {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line;
    if (text.startsWith('m=')) {
      if (sections.length >= limits.sections.value) throw protocolError('too many media sections');
      sections.push(readMediaLine(text));
    } else if (text.startsWith('a=')) {
      const { name, value } = readAttribute(text);
      const section = sections.at(-1);
      if (!readTransportAttribute(transport, name, value) && section) {
        readSectionAttribute(section, name, value);
      }
    }
  }
  return { transport: finish(transport), sections };
}

function readAttribute(line: string): { name: string; value: string } {
  const colon = line.indexOf(':');
  return colon < 0
    ? { name: line.slice(2), value: '' }
    : { name: line.slice(2, colon), value: line.slice(colon + 1) };
}

function finish(draft: DraftTransport): TransportParameters {
  const { ufrag, pwd, iceLite, setup = 'actpass' } = draft;
  if (!ufrag || !pwd || draft.fingerprints.size === 0) {
    throw protocolError('the session description lacks ICE credentials or a fingerprint');
  }
  if (ufrag.length > limits.credentialChars.value || pwd.length > limits.credentialChars.value) {
    throw protocolError('the ICE credentials of the session description are too long');
  }
  return {
    ufrag,
    pwd,
    iceLite,
    fingerprints: [...draft.fingerprints],
    setup: setup === 'active' || setup === 'passive' ? setup : 'actpass',
    candidates: [...draft.candidates],
  };
}

function readMediaLine(line: string): Draft {
  const [kind, port, , ...formats] = line.slice(2).split(' ');
  if (kind === undefined || !/^\d+/.test(port ?? '')) throw protocolError(`malformed line: ${clip(line)}`);
  const known = kind === 'audio' || kind === 'video' || kind === 'application';
  return {
    kind: known ? kind : 'application',
    mid: '',
    direction: 'sendrecv',
    // A payload type is a codec once `a=rtpmap` names it.
    codecs: kind === 'application' ? [] : formats.slice(0, limits.sectionCodecs.value).map(codecOf),
    extensions: [],
    sources: [],
    rids: [],
    // What we do not know is rejected in its place.
    ...(port === '0' || !known ? { rejected: true } : {}),
  };
}

const codecOf = (format: string): Codec => ({
  payloadType: Number.parseInt(format, 10),
  name: '',
  clockRate: 0,
  parameters: '',
  feedback: [],
});

/** Returns false when the attribute is not about the transport. */
function readTransportAttribute(draft: DraftTransport, name: string, value: string): boolean {
  switch (name) {
    case 'ice-ufrag':
      draft.ufrag ??= value.trim();
      return true;
    case 'ice-pwd':
      draft.pwd ??= value.trim();
      return true;
    case 'ice-lite':
      draft.iceLite = true;
      return true;
    case 'setup':
      draft.setup ??= value.trim();
      return true;
    case 'fingerprint':
      if (draft.fingerprints.size < limits.descriptionFingerprints.value)
        draft.fingerprints.add(value.trim());
      return true;
    case 'candidate':
      if (draft.candidates.size < limits.descriptionCandidates.value)
        draft.candidates.add(`candidate:${value.trim()}`);
      return true;
    default:
      return false;
  }
}

function readSectionAttribute(section: Draft, name: string, value: string): void {
  if (isDirection(name)) {
    section.direction = name;
    return;
  }
  const [first = '', ...rest] = value.split(' ');
  const others = rest.join(' ');
  switch (name) {
    case 'mid':
      section.mid = value.trim();
      if (section.mid.length > limits.midChars.value) throw protocolError('a MID is too long');
      break;
    case 'msid':
      section.msid ??= { streamId: first.trim(), trackId: others.trim() };
      break;
    case 'rtpmap':
      readCodecName(section, first, others);
      break;
    case 'fmtp':
      for (const codec of codecsOf(section, first)) codec.parameters = others.trim();
      break;
    case 'rtcp-fb':
      for (const codec of codecsOf(section, first)) {
        if (codec.feedback.length < limits.sectionAttributes.value) codec.feedback.push(others.trim());
      }
      break;
    case 'extmap':
      readExtension(section, first, rest[0]);
      break;
    case 'ssrc':
      readSource(section, first, others);
      break;
    case 'ssrc-group':
      readSourceGroup(section, first, rest);
      break;
    case 'rid':
      readRid(section, first, rest[0]);
      break;
    case 'max-message-size':
      section.maxMessageBytes = Number.parseInt(value, 10) || 0;
      break;
    default:
  }
}

function codecsOf(section: Draft, format: string): Codec[] {
  if (format === '*') return section.codecs;
  const payloadType = Number.parseInt(format, 10);
  return section.codecs.filter((codec) => codec.payloadType === payloadType);
}

function readCodecName(section: Draft, format: string, value: string): void {
  const [name = '', clockRate, channels] = value.trim().split('/');
  for (const codec of codecsOf(section, format)) {
    codec.name = name;
    codec.clockRate = Number.parseInt(clockRate ?? '', 10) || 0;
    const count = Number.parseInt(channels ?? '', 10);
    if (count > 0) codec.channels = count;
  }
}

function readExtension(section: Draft, id: string, uri: string | undefined): void {
  const value = Number.parseInt(id, 10);
  if (!(value >= 1 && value <= 255) || !uri || section.extensions.length >= limits.sectionAttributes.value)
    return;
  section.extensions.push({ id: value, uri: uri.trim() });
}

function readSource(section: Draft, id: string, attribute: string): void {
  const ssrc = toSsrc(id);
  if (ssrc === undefined) return;
  if (section.sources.some(({ repairSsrc }) => repairSsrc === ssrc)) return;
  const known = section.sources.find((source) => source.ssrc === ssrc);
  const source = known ?? { ssrc, cname: '' };
  if (!known && section.sources.length < limits.sectionSources.value) section.sources.push(source);
  if (attribute.startsWith('cname:')) source.cname = attribute.slice('cname:'.length).trim();
  else if (attribute.startsWith('msid:')) {
    const [streamId = '', trackId = ''] = attribute.slice('msid:'.length).trim().split(' ');
    section.msid ??= { streamId, trackId };
  }
}

/** `FID` pairs a stream with its retransmissions (RFC 5576, RFC 4588). */
function readSourceGroup(section: Draft, semantics: string, ids: readonly string[]): void {
  if (semantics !== 'FID') return;
  const [ssrc, repairSsrc] = ids.map(toSsrc);
  if (ssrc === undefined || repairSsrc === undefined) return;
  section.sources = section.sources.filter((each) => each.ssrc !== repairSsrc);
  const source = section.sources.find((each) => each.ssrc === ssrc);
  if (source) source.repairSsrc = repairSsrc;
  else if (section.sources.length < limits.sectionSources.value)
    section.sources.push({ ssrc, cname: '', repairSsrc });
}

function readRid(section: Draft, id: string, direction: string | undefined): void {
  const sense = direction?.trim();
  if (sense !== 'send' && sense !== 'recv') return;
  if (/^[A-Za-z0-9_-]{1,255}$/.test(id) && section.rids.length < limits.sectionRids.value) {
    section.rids.push({ id, direction: sense });
  }
}

function toSsrc(text: string): number | undefined {
  const value = /^\d{1,10}$/.test(text.trim()) ? Number(text) : Number.NaN;
  return value <= 0xffff_ffff ? value : undefined;
}

const isDirection = (name: string): name is Direction =>
  name === 'sendrecv' || name === 'sendonly' || name === 'recvonly' || name === 'inactive';

const clip = (text: string) => text.slice(0, 80);

function protocolError(message: string): OffhookError {
  return new OffhookError('OFFHOOK_PROTOCOL', message);
}

/** Writes a session description. Candidates stand in its first section, which makes them those of all. */
export function writeDescription(
  { transport, sections }: Description,
  { sessionId, version }: { sessionId: string; version: number },
): string {
  const { ufrag, pwd, iceLite, fingerprints, setup, candidates } = transport;
  const bundled = sections.filter(({ rejected }) => !rejected).map(({ mid }) => mid);
  const credentials = [`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`];
  const lines = [
    'v=0',
    `o=- ${sessionId} ${version} IN IP4 0.0.0.0`,
    's=-',
    't=0 0',
    ...(iceLite ? ['a=ice-lite'] : []),
    `a=group:BUNDLE ${bundled.join(' ')}`,
    'a=extmap-allow-mixed',
    'a=msid-semantic:WMS *',
    ...fingerprints.map((fingerprint) => `a=fingerprint:${fingerprint}`),
    ...(bundled.length === 0 ? credentials : []),
  ];
  for (const section of sections) {
    lines.push(...sectionLines(section));
    if (section.rejected) continue;
    lines.push(`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${pwd}`, 'a=ice-options:trickle', `a=setup:${setup}`);
    if (section.mid === bundled[0]) lines.push(...candidates.map((candidate) => `a=${candidate}`));
  }
  return `${lines.join('\r\n')}\r\n`;
}

function sectionLines(section: MediaSection): string[] {
  const { kind, mid, direction, rejected, codecs, extensions, rids = [] } = section;
  const port = rejected ? 0 : 9;
  if (kind === 'application') {
    return [
      `m=application ${port} UDP/DTLS/SCTP webrtc-datachannel`,
      'c=IN IP4 0.0.0.0',
      `a=mid:${mid}`,
      `a=sctp-port:${sctpPort}`,
      `a=max-message-size:${section.maxMessageBytes ?? maxMessageBytes}`,
    ];
  }
  const payloadTypes = codecs.map(({ payloadType }) => payloadType);
  return [
    `m=${kind} ${port} UDP/TLS/RTP/SAVPF ${payloadTypes.length > 0 ? payloadTypes.join(' ') : '0'}`,
    'c=IN IP4 0.0.0.0',
    `a=mid:${mid}`,
    `a=${direction}`,
    'a=rtcp-mux',
    'a=rtcp-rsize',
    ...codecs.flatMap(codecLines),
    ...extensions.map(({ id, uri }) => `a=extmap:${id} ${uri}`),
    ...rids.map((rid) => `a=rid:${rid.id} ${rid.direction}`),
    ...simulcastLines(rids),
    ...(isSending(direction) ? sourceLines(section) : []),
  ];
}

function codecLines({ payloadType, name, clockRate, channels, parameters, feedback }: Codec): string[] {
  return [
    `a=rtpmap:${payloadType} ${name}/${clockRate}${channels === undefined ? '' : `/${channels}`}`,
    ...(parameters === '' ? [] : [`a=fmtp:${payloadType} ${parameters}`]),
    ...feedback.map((kind) => `a=rtcp-fb:${payloadType} ${kind}`),
  ];
}

function simulcastLines(rids: NonNullable<MediaSection['rids']>): string[] {
  if (rids.length === 0) return [];
  const list = (direction: 'send' | 'recv') => {
    const ids = rids.filter((rid) => rid.direction === direction).map(({ id }) => id);
    return ids.length > 0 ? ` ${direction} ${ids.join(';')}` : '';
  };
  return [`a=simulcast:${list('send')}${list('recv')}`.replace('simulcast: ', 'simulcast:')];
}

function sourceLines({ msid, sources = [] }: MediaSection): string[] {
  const ids = msid && `${msid.streamId} ${msid.trackId}`;
  const lines = ids ? [`a=msid:${ids}`] : [];
  for (const { ssrc, repairSsrc } of sources) {
    if (repairSsrc !== undefined) lines.push(`a=ssrc-group:FID ${ssrc} ${repairSsrc}`);
  }
  for (const { ssrc, cname, repairSsrc } of sources) {
    for (const id of repairSsrc === undefined ? [ssrc] : [ssrc, repairSsrc]) {
      lines.push(`a=ssrc:${id} cname:${cname}`, ...(ids ? [`a=ssrc:${id} msid:${ids}`] : []));
    }
  }
  return lines;
}
