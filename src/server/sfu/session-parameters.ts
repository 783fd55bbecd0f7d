import { isIP } from 'node:net';
import { parse, type SessionDescription } from 'sdp-transform';
import type { Limit } from '../../limits.js';
import { OffhookError } from '../../timeline/index.js';
import { candidateAddress } from '../../transport/index.js';
import { limits } from '../limits.js';

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

/** A description is larger than any client's should be; its sender is not worth another attempt. */
export class LimitError extends OffhookError {
  constructor(what: string, found: number, { value }: Limit) {
    super('OFFHOOK_PROTOCOL', `the session description has ${found} ${what}, at most ${value} are read`);
  }
}

/**
 * Parses a session description.
 *
 * @throws LimitError when it is too large, which is found without parsing it.
 * @throws OffhookError `OFFHOOK_PROTOCOL` when it is not SDP.
 */
export function parseDescription(sdp: string): SessionDescription {
  const { descriptionBytes, descriptionLines, descriptionSections } = limits;
  if (sdp.length > descriptionBytes.value) throw new LimitError('bytes', sdp.length, descriptionBytes);
  const lines = occurrences(sdp, '\n');
  if (lines > descriptionLines.value) throw new LimitError('lines', lines, descriptionLines);
  const sections = occurrences(sdp, '\nm=');
  if (sections > descriptionSections.value) throw new LimitError('sections', sections, descriptionSections);
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
  const unique = new Set<string>();
  for (const { candidates = [] } of description.media) {
    for (const { foundation, component, transport, priority, ip, port, type, raddr, rport } of candidates) {
      // A name would have to be looked up, and nobody limits how long that takes.
      if (isIP(String(ip)) === 0) continue;
      if (unique.size === limits.candidatesPerConnection.value) return [...unique];
      unique.add(
        `candidate:${foundation} ${component} ${transport} ${priority} ${ip} ${port} typ ${type}` +
          (raddr === undefined ? '' : ` raddr ${raddr} rport ${rport}`),
      );
    }
  }
  return [...unique];
}

/** Whether a candidate line says where to send to by an address, not by a name that would have to be looked up. */
export function isAddressCandidate(candidate: string): boolean {
  return isIP(candidateAddress(candidate)?.address ?? '') !== 0;
}

function occurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}
