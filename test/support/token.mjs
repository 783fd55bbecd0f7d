import { AccessToken } from 'livekit-server-sdk';

/**
 * A join token for `identity`, as livekit-server-sdk makes it.
 *
 * @param {{ url: string, apiKey: string, apiSecret: string }} server
 * @param {string} room
 * @param {string} identity
 * @param {import('livekit-server-sdk').VideoGrant} [grant] more than joining, or other than that
 */
export function makeToken({ apiKey, apiSecret }, room, identity, grant = {}) {
  const token = new AccessToken(apiKey, apiSecret, { identity, name: identity, ttl: '10m' });
  token.addGrant({ roomJoin: true, room, canUpdateOwnMetadata: true, ...grant });
  return token.toJwt();
}
