import { describeError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import { type ApiKeys, signAccess } from './access-token.js';
import type { Participant } from './participant.js';
import { startTimeout, type Timer } from './timers.js';

const log = createLogger('server/signal');

const refreshIntervalMs = 5 * 60_000;
const lifetimeS = 10 * 60;

/** Keeps the token that a client would come back with from expiring while it is connected. */
export class TokenRefresh {
  #timer: Timer;

  constructor(participant: Participant, keys: ApiKeys) {
    const { name } = participant.boundary;
    const refresh = () => {
      this.#timer = startTimeout(name, refreshIntervalMs, refresh);
      refreshedToken(participant, keys)
        .then((token) => participant.send({ case: 'refreshToken', value: token }))
        .catch((error: unknown) =>
          log.about(participant.subject).warn(`no new token was sent: ${describeError(error)}`),
        );
    };
    const remainingMs = participant.access.expiresAtMs - Date.now();
    this.#timer = startTimeout(name, Math.max(0, Math.min(refreshIntervalMs, remainingMs / 2)), refresh);
  }

  stop(): void {
    this.#timer.cancel();
  }
}

/** A token with the grants of the one that was joined with and the participant's present name and metadata. */
function refreshedToken(participant: Participant, keys: ApiKeys): Promise<string> {
  const { access, identity, name, metadata, attributes, permission } = participant;
  const { canPublish, canSubscribe, canPublishData, canPublishSources, canUpdateMetadata } = permission;
  return signAccess(access.apiKey, keys[access.apiKey] ?? '', {
    identity,
    name,
    metadata,
    attributes,
    ...(access.kind === '' ? {} : { kind: access.kind }),
    lifetime: lifetimeS,
    grants: {
      ...access.grants,
      canPublish,
      canSubscribe,
      canPublishData,
      canPublishSources,
      canUpdateOwnMetadata: canUpdateMetadata,
    },
  });
}
