import { parse, type SessionDescription } from 'sdp-transform';
import { OffhookError } from '../../timeline/index.js';

/** What two sides must know of each other to bring up ICE, DTLS and SCTP (RFC 8839, 8842, 8841). */
export interface SessionParameters {
  ufrag: string;
  pwd: string;
  /** `sha-256 AB:CD:…` */
  fingerprint: string;
  setup: string;
  /** Undefined when there is no section for data channels. */
  sctp: { port: number; maxMessageSize: number } | undefined;
  /** Candidate lines `candidate:…` that the description itself carries. */
  candidates: string[];
}

/**
 * Parses a session description.
 *
 * @throws OffhookError `OFFHOOK_PROTOCOL` when it is not SDP.
 */
export function parseDescription(sdp: string): SessionDescription {
  try {
    return parse(sdp);
  } catch (cause) {
    throw new OffhookError('OFFHOOK_PROTOCOL', 'the session description cannot be parsed', { cause });
  }
}

/**
 * Reads the transport's parameters, which may stand in the session or in any bundled section.
 *
 * @throws OffhookError `OFFHOOK_PROTOCOL` when ICE credentials or the fingerprint are missing.
 */
export function readSessionParameters(description: SessionDescription): SessionParameters {
  const sections = [description, ...description.media];
  const first = <Value>(read: (section: (typeof sections)[number]) => Value | undefined) =>
    sections.map(read).find((value) => value !== undefined);
  const ufrag = first((section) => section.iceUfrag);
  const pwd = first((section) => section.icePwd);
  const fingerprint = first((section) => section.fingerprint);
  if (ufrag === undefined || pwd === undefined || fingerprint === undefined) {
    throw new OffhookError(
      'OFFHOOK_PROTOCOL',
      'the session description lacks ICE credentials or a fingerprint',
    );
  }
  const application = description.media.find(({ type, port }) => type === 'application' && port !== 0);
  return {
    ufrag: String(ufrag),
    pwd: String(pwd),
    fingerprint: `${fingerprint.type} ${fingerprint.hash}`,
    setup: first((section) => section.setup) ?? 'actpass',
    sctp: application
      ? { port: application.sctpPort ?? 5000, maxMessageSize: application.maxMessageSize ?? 65_536 }
      : undefined,
    candidates: sdpCandidates(description),
  };
}

function sdpCandidates(description: SessionDescription): string[] {
  const lines = description.media.flatMap(({ candidates }) => candidates ?? []);
  const unique = new Set(
    lines.map(
      ({ foundation, component, transport, priority, ip, port, type, raddr, rport }) =>
        `candidate:${foundation} ${component} ${transport} ${priority} ${ip} ${port} typ ${type}` +
        (raddr === undefined ? '' : ` raddr ${raddr} rport ${rport}`),
    ),
  );
  return [...unique];
}
