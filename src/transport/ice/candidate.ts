import { isIP } from 'node:net';
import { limits } from '../../limits.js';
import type { TransportAddress } from './stun.js';

/** A trickled candidate, as the JSON in LiveKit's TrickleRequest.candidateInit (RTCIceCandidateInit). */
export interface IceCandidate {
  /** `candidate:…`, without `a=`; empty marks the end of candidates. */
  candidate: string;
  sdpMid?: string | null;
  sdpMLineIndex?: number | null;
}

/** What a candidate line says (RFC 8839, section 5.1). */
export interface CandidateAddress extends TransportAddress {
  protocol: string;
  /** `host`, `srflx`, `prflx` or `relay`. */
  type: string;
  foundation: string;
  priority: number;
  /** Of a candidate over TCP: `active`, `passive` or `so` (RFC 6544). */
  tcpType: string | undefined;
}

/**
 * Reads a candidate line. Undefined when it is not one, or has a host name in place of an address: looking names up for a
 * stranger is a way to keep the resolver busy, and the peer is found by its own checks all the same.
 */
export function candidateAddress(candidate: string): CandidateAddress | undefined {
  if (candidate.length > limits.candidateChars.value) return undefined;
  const fields = candidate.replace(/^a=/, '').split(' ');
  const [foundation, , protocol, priority, address, port, typ, type, ...rest] = fields;
  if (!foundation?.startsWith('candidate:') || !address || typ !== 'typ' || !type) return undefined;
  if (!/^\d{1,5}$/.test(port ?? '') || Number(port) > 65_535 || isIP(address) === 0) return undefined;
  const tcpType = rest[rest.indexOf('tcptype') + 1];
  return {
    address,
    port: Number(port),
    protocol: (protocol ?? '').toLowerCase(),
    type,
    foundation: foundation.slice('candidate:'.length),
    priority: Number(priority) >>> 0,
    tcpType: rest.includes('tcptype') ? tcpType : undefined,
  };
}

const hostTypePreference = { udp: 126, tcp: 90 };

/**
 * A host candidate line (RFC 8839, section 5.1). One over TCP is the end of a connection that we have opened: written as
 * `passive` (RFC 6544) because servers pass over what is called active.
 */
export function hostCandidate(
  { address, port }: TransportAddress,
  /** 0 is preferred to 1, and so on. */
  preference: number,
  protocol: 'udp' | 'tcp' = 'udp',
): string {
  const priority = hostTypePreference[protocol] * 2 ** 24 + (0xffff - preference) * 2 ** 8 + 255;
  const line = `candidate:${preference + 1} 1 ${protocol} ${priority} ${address} ${port} typ host`;
  return protocol === 'tcp' ? `${line} tcptype passive` : line;
}
