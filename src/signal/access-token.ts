import { OffhookError } from '../errors/index.js';
import { type LogSubject, subjectOfIdentity } from '../logging/index.js';

const headerValue = /^[\x21-\x7e]+$/;

/** @throws OffhookError `OFFHOOK_INVALID_TOKEN` when the token cannot be sent in a header at all */
export function checkTokenFormat(token: string): void {
  if (headerValue.test(token)) return;
  const why = token === '' ? 'it is empty' : 'it contains characters that no token has (spaces, line ends)';
  throw new OffhookError('OFFHOOK_INVALID_TOKEN', `the access token cannot be used: ${why}`, {
    stage: 'websocket',
    advice: 'Pass the token exactly as the server SDK made it.',
  });
}

function claimsOf(token: string): Record<string, unknown> | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The call that a token is for, so that records name it before the server has answered. */
export function subjectOfToken(token: string): LogSubject {
  const { sub, video } = claimsOf(token) ?? {};
  const room = (video as Record<string, unknown> | undefined)?.room;
  return {
    ...(typeof room === 'string' ? { room } : {}),
    ...(typeof sub === 'string' ? subjectOfIdentity(sub) : {}),
  };
}

/**
 * What a server that refused this token probably found wrong, read from the token itself (whose signature only the
 * server can check).
 */
export function suspectToken(token: string, nowMs: number): string {
  const claims = claimsOf(token);
  if (!claims) return 'It is not a JSON Web Token: make one with the server SDK or `offhook token`.';
  const nowS = nowMs / 1000;
  if (typeof claims.exp === 'number' && claims.exp < nowS) {
    return `It expired ${Math.round(nowS - claims.exp)} s ago by this machine's clock: make a new one.`;
  }
  if (typeof claims.nbf === 'number' && claims.nbf > nowS) {
    return `It becomes valid in ${Math.round(claims.nbf - nowS)} s by this machine's clock: check both clocks.`;
  }
  const video = claims.video as Record<string, unknown> | undefined;
  if (!video?.roomJoin) return 'It has no roomJoin grant.';
  return `Check that the server knows the API key ${JSON.stringify(claims.iss)} and that the secret is its own.`;
}
