import type { IceCredentials } from './ice-agent.js';

const ufragLine = /^a=ice-ufrag:(\S+)/m;
const pwdLine = /^a=ice-pwd:(\S+)/m;
const candidateLine = /^a=(candidate:[^\r\n]+)\r?\n/gm;

/** The ICE credentials of a session description (RFC 8839, section 5.4); with BUNDLE all sections have the same. */
export function readIceCredentials(sdp: string): IceCredentials | undefined {
  const ufrag = ufragLine.exec(sdp)?.[1];
  const pwd = pwdLine.exec(sdp)?.[1];
  return ufrag && pwd ? { ufrag, pwd } : undefined;
}

/** The description with other credentials and, since candidates belong to the old ones, without candidates. */
export function withIceCredentials(sdp: string, { ufrag, pwd }: IceCredentials): string {
  return sdp
    .replace(/^a=ice-ufrag:\S+/gm, `a=ice-ufrag:${ufrag}`)
    .replace(/^a=ice-pwd:\S+/gm, `a=ice-pwd:${pwd}`)
    .replace(candidateLine, '')
    .replace(/^a=end-of-candidates\r?\n/gm, '');
}

/** The description with candidates in its first media section; BUNDLE makes them those of all. */
export function withCandidates(sdp: string, candidates: readonly string[]): string {
  const [session = '', first = '', ...others] = sdp.split(/^(?=m=)/m);
  const lines = candidates.map((candidate) => `a=${candidate}\r\n`);
  return [session, first, ...lines, ...others].join('');
}

/** The description of a side that has a full ICE agent, as the bridge does. */
export const withoutIceLite = (sdp: string): string => sdp.replace(/^a=ice-lite\r?\n/gm, '');

export const isIceLite = (sdp: string): boolean => /^a=ice-lite\s*$/m.test(sdp);

/** `candidate:…` of each candidate line, once. */
export function candidatesIn(sdp: string): string[] {
  return [...new Set([...sdp.matchAll(candidateLine)].map((match) => match[1]!))];
}
