import type { Codec } from './codecs.js';

/** One `m=` section as the server writes it (RFC 8829). */
export interface MediaSection {
  kind: 'audio' | 'video' | 'application';
  mid: string;
  direction: 'sendonly' | 'recvonly' | 'inactive';
  codecs: readonly Codec[];
  extensions: readonly { id: number; uri: string }[];
  /** A rejected section has port 0 and is in no bundle. */
  rejected?: boolean;
  /** The one stream of a simulcast that is to be received (RFC 8853). */
  receivedRid?: string;
  /** Of a section that sends. */
  source?: { ssrc: number; cname: string; streamId: string; trackId: string };
}

interface DescriptionOptions {
  sessionId: string;
  version: number;
  setup: 'actpass' | 'active' | 'passive';
  /** Whether the server is an ICE-lite agent on this connection. */
  iceLite: boolean;
  transport: { ufrag: string; pwd: string; fingerprint: string };
  candidates: readonly string[];
  sections: readonly MediaSection[];
}

/** Writes a session description of which every section is bundled on one transport. */
export function writeDescription(options: DescriptionOptions): string {
  const { sessionId, version, setup, iceLite, transport, candidates, sections } = options;
  const bundled = sections.filter(({ rejected }) => !rejected).map(({ mid }) => mid);
  const lines = [
    'v=0',
    `o=- ${sessionId} ${version} IN IP4 0.0.0.0`,
    's=-',
    't=0 0',
    ...(iceLite ? ['a=ice-lite'] : []),
    `a=group:BUNDLE ${bundled.join(' ')}`,
    'a=extmap-allow-mixed',
    'a=msid-semantic:WMS *',
    `a=fingerprint:${transport.fingerprint}`,
  ];
  for (const section of sections) {
    lines.push(...mediaLines(section));
    if (section.rejected) continue;
    lines.push(
      `a=ice-ufrag:${transport.ufrag}`,
      `a=ice-pwd:${transport.pwd}`,
      'a=ice-options:trickle',
      `a=setup:${setup}`,
    );
    if (section.mid === bundled[0]) {
      lines.push(...candidates.map((candidate) => `a=${candidate}`), 'a=end-of-candidates');
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

function mediaLines(section: MediaSection): string[] {
  const { kind, mid, direction, rejected } = section;
  const port = rejected ? 0 : 9;
  if (kind === 'application') {
    return [
      `m=application ${port} UDP/DTLS/SCTP webrtc-datachannel`,
      'c=IN IP4 0.0.0.0',
      `a=mid:${mid}`,
      'a=sctp-port:5000',
      'a=max-message-size:262144',
    ];
  }
  const payloadTypes = section.codecs.map(({ payloadType }) => payloadType);
  return [
    `m=${kind} ${port} UDP/TLS/RTP/SAVPF ${payloadTypes.length > 0 ? payloadTypes.join(' ') : '0'}`,
    'c=IN IP4 0.0.0.0',
    `a=mid:${mid}`,
    `a=${direction}`,
    'a=rtcp-mux',
    'a=rtcp-rsize',
    ...section.codecs.flatMap(codecLines),
    ...section.extensions.map(({ id, uri }) => `a=extmap:${id} ${uri}`),
    ...(section.receivedRid === undefined
      ? []
      : [`a=rid:${section.receivedRid} recv`, `a=simulcast:recv ${section.receivedRid}`]),
    ...sourceLines(section.source),
  ];
}

function codecLines({ payloadType, name, clockRate, channels, parameters, feedback }: Codec): string[] {
  return [
    `a=rtpmap:${payloadType} ${name}/${clockRate}${channels === undefined ? '' : `/${channels}`}`,
    ...(parameters === '' ? [] : [`a=fmtp:${payloadType} ${parameters}`]),
    ...feedback.map((kind) => `a=rtcp-fb:${payloadType} ${kind}`),
  ];
}

function sourceLines(source: MediaSection['source']): string[] {
  if (!source) return [];
  const { ssrc, cname, streamId, trackId } = source;
  return [
    `a=msid:${streamId} ${trackId}`,
    `a=ssrc:${ssrc} cname:${cname}`,
    `a=ssrc:${ssrc} msid:${streamId} ${trackId}`,
  ];
}
