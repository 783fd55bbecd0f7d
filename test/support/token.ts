import { AccessToken, type VideoGrant } from 'livekit-server-sdk';

export interface TestServer {
  url: string;
  apiKey: string;
  apiSecret: string;
}

/** A join token for `identity`, as livekit-server-sdk makes it. */
export function makeToken(
  { apiKey, apiSecret }: TestServer,
  room: string,
  identity: string,
  grant: VideoGrant = {},
): Promise<string> {
  const token = new AccessToken(apiKey, apiSecret, { identity, name: identity, ttl: '10m' });
  token.addGrant({ roomJoin: true, room, canUpdateOwnMetadata: true, ...grant });
  return token.toJwt();
}
