import { AccessToken } from 'livekit-server-sdk';
import { createLogger, describeError } from '../timeline/index.js';
import type { ApiKeys } from './access-token.js';
import type { Participant } from './participant.js';

const log = createLogger('server/signal');

const refreshIntervalMs = 5 * 60_000;
const lifetimeS = 10 * 60;

/** Keeps the token that a client would come back with from expiring while it is connected. */
export class TokenRefresh {
  #timer: NodeJS.Timeout;

  constructor(participant: Participant, keys: ApiKeys) {
    const refresh = () => {
      this.#timer = setTimeout(refresh, refreshIntervalMs);
      refreshedToken(participant, keys)
        .then((token) => participant.send({ case: 'refreshToken', value: token }))
        .catch((error: unknown) =>
          log.warn(`${participant.identity}: no new token: ${describeError(error)}`),
        );
    };
    const remainingMs = participant.access.expiresAtMs - Date.now();
    this.#timer = setTimeout(refresh, Math.max(0, Math.min(refreshIntervalMs, remainingMs / 2)));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

/** A token with the grants of the one that was joined with and the participant's present name and metadata. */
async function refreshedToken(participant: Participant, keys: ApiKeys): Promise<string> {
  const { access, identity, name, metadata, attributes, permission } = participant;
  const token = new AccessToken(access.apiKey, keys[access.apiKey] ?? '', {
    identity,
    ttl: lifetimeS,
    name,
    metadata,
    attributes,
  });
  const { canPublish, canSubscribe, canPublishData, canPublishSources, canUpdateMetadata } = permission;
  token.addGrant({
    ...access.grants,
    canPublish,
    canSubscribe,
    canPublishData,
    canPublishSources,
    canUpdateOwnMetadata: canUpdateMetadata,
  });
  if (access.kind !== '') token.kind = access.kind as NonNullable<AccessToken['kind']>;
  return token.toJwt();
}
