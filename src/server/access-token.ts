import { RoomConfiguration, TrackSource } from '@livekit/protocol';
import { TokenVerifier } from 'livekit-server-sdk';
import { HttpError } from './http-error.js';

/** API keys and their secrets. */
export type ApiKeys = Readonly<Record<string, string>>;

/** The `video` claim of an access token: what its bearer may do. */
export interface Grants {
  roomCreate: boolean;
  roomJoin: boolean;
  roomList: boolean;
  roomAdmin: boolean;
  room: string;
  canPublish: boolean;
  /** When not empty, only these sources may be published. */
  canPublishSources: TrackSource[];
  canSubscribe: boolean;
  canPublishData: boolean;
  canUpdateOwnMetadata: boolean;
  hidden: boolean;
  recorder: boolean;
  agent: boolean;
}

/** What a verified access token says. */
export interface Access {
  apiKey: string;
  identity: string;
  name: string;
  metadata: string;
  attributes: Record<string, string>;
  /** `standard`, `agent`, `sip`, `ingress`, `egress`; empty when the token does not say. */
  kind: string;
  grants: Grants;
  roomConfig: RoomConfiguration | undefined;
  /** Wall-clock time, in milliseconds. */
  expiresAtMs: number;
}

const sources: Record<string, TrackSource> = {
  camera: TrackSource.CAMERA,
  microphone: TrackSource.MICROPHONE,
  screen_share: TrackSource.SCREEN_SHARE,
  screen_share_audio: TrackSource.SCREEN_SHARE_AUDIO,
};

/**
 * Verifies signature, issuer, expiry and not-before of an access token.
 *
 * @throws HttpError 401 that says what was wrong.
 */
export async function verifyAccess(token: string | undefined, keys: ApiKeys): Promise<Access> {
  if (!token) throw new HttpError(401, 'permissions denied: no access token was given');
  const apiKey = issuerOf(token);
  const secret = Object.hasOwn(keys, apiKey) ? keys[apiKey] : undefined;
  if (secret === undefined) throw new HttpError(401, `invalid API key: ${apiKey}`);
  try {
    const claims = (await new TokenVerifier(apiKey, secret).verify(token)) as Record<string, unknown>;
    return readClaims(apiKey, claims);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HttpError(401, `invalid authorization token: ${reason}`, { cause });
  }
}

function issuerOf(token: string): string {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const issuer = (claims as { iss?: unknown }).iss;
    if (typeof issuer === 'string') return issuer;
  } catch {
    // Falls through: whatever it is, it is no token.
  }
  throw new HttpError(401, 'invalid authorization token');
}

function readClaims(apiKey: string, claims: Record<string, unknown>): Access {
  const video = (claims.video ?? {}) as Record<string, unknown>;
  const flag = (name: string, otherwise = false) => {
    const value = video[name];
    return typeof value === 'boolean' ? value : otherwise;
  };
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const publishSources = Array.isArray(video.canPublishSources) ? video.canPublishSources : [];
  return {
    apiKey,
    identity: text(claims.sub),
    name: text(claims.name),
    metadata: text(claims.metadata),
    attributes: { ...(claims.attributes as Record<string, string> | undefined) },
    kind: text(claims.kind),
    grants: {
      roomCreate: flag('roomCreate'),
      roomJoin: flag('roomJoin'),
      roomList: flag('roomList'),
      roomAdmin: flag('roomAdmin'),
      room: text(video.room),
      canPublish: flag('canPublish', true),
      canPublishSources: publishSources.map((name) => sources[String(name)] ?? TrackSource.UNKNOWN),
      canSubscribe: flag('canSubscribe', true),
      canPublishData: flag('canPublishData', flag('canPublish', true)),
      canUpdateOwnMetadata: flag('canUpdateOwnMetadata'),
      hidden: flag('hidden'),
      recorder: flag('recorder'),
      agent: flag('agent'),
    },
    roomConfig: claims.roomConfig
      ? RoomConfiguration.fromJson(claims.roomConfig as never, { ignoreUnknownFields: true })
      : undefined,
    expiresAtMs: Number(claims.exp) * 1000,
  };
}
