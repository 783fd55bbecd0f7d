import { RoomConfiguration, TrackSource } from '@livekit/protocol';
import { errors, jwtVerify, SignJWT } from 'jose';
import { isTextRecord } from './checked-values.js';
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
  /** Where participants of `room` may be moved or forwarded to. */
  destinationRoom: string;
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
  /** The `sip` claim: whether its bearer may change trunks and rules, and place calls. */
  sip: { admin: boolean; call: boolean };
  roomConfig: RoomConfiguration | undefined;
  /** Wall-clock time, in milliseconds. */
  expiresAtMs: number;
}

/** What a token is to say; what is left out is as LiveKit has it by default. */
export interface AccessClaims {
  identity: string;
  name?: string;
  metadata?: string;
  attributes?: Record<string, string>;
  kind?: string;
  grants: Partial<Grants>;
  roomConfig?: RoomConfiguration;
  /** Name of a room configuration that the server keeps. */
  roomPreset?: string;
  /** Seconds, or a time span such as `10m`, `6h`, `7d`. */
  lifetime: number | string;
}

const algorithm = 'HS256';

const sources: ReadonlyMap<unknown, TrackSource> = new Map([
  ['camera', TrackSource.CAMERA],
  ['microphone', TrackSource.MICROPHONE],
  ['screen_share', TrackSource.SCREEN_SHARE],
  ['screen_share_audio', TrackSource.SCREEN_SHARE_AUDIO],
]);

/** How far the clock of whoever signed a token may be from ours, for `exp` and `nbf`. */
const clockLeewayS = 30;

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
    const { payload } = await jwtVerify(token, Buffer.from(secret), {
      issuer: apiKey,
      algorithms: [algorithm],
      requiredClaims: ['exp'],
      clockTolerance: clockLeewayS,
    });
    return readClaims(apiKey, payload);
  } catch (cause) {
    const reason = describeTokenFault(cause);
    throw new HttpError(401, `invalid authorization token: ${reason}`, { cause });
  }
}

function describeTokenFault(fault: unknown): string {
  if (fault instanceof errors.JWSSignatureVerificationFailed)
    return 'signature verification failed: it was signed with another secret than that of its API key';
  return fault instanceof Error ? fault.message : String(fault);
}

/**
 * Signs an access token.
 *
 * @throws TypeError for a lifetime that is no time span
 */
export function signAccess(apiKey: string, secret: string, claims: AccessClaims): Promise<string> {
  const { identity, name, metadata, attributes, kind, roomConfig, roomPreset, lifetime, grants } = claims;
  const { canPublishSources } = grants;
  const video = {
    ...grants,
    ...(canPublishSources && { canPublishSources: canPublishSources.map(sourceName) }),
  };
  const payload = { name, metadata, attributes, kind, roomConfig: roomConfig?.toJson(), roomPreset, video };
  return new SignJWT(payload)
    .setProtectedHeader({ alg: algorithm })
    .setIssuer(apiKey)
    .setSubject(identity)
    .setNotBefore(new Date())
    .setExpirationTime(typeof lifetime === 'number' ? `${lifetime}s` : lifetime)
    .sign(Buffer.from(secret));
}

function sourceName(source: TrackSource): string {
  return TrackSource[source].toLowerCase();
}

function issuerOf(token: string): string {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    const issuer = (claims as { iss?: unknown } | null)?.iss;
    if (typeof issuer === 'string') return issuer;
  } catch {
    // Falls through: whatever it is, it is no token.
  }
  throw new HttpError(401, 'invalid authorization token');
}

/** @throws Error when a claim is not of its type: a token that says something else than its signer meant is refused. */
function readClaims(apiKey: string, claims: Record<string, unknown>): Access {
  const { video = {}, sip = {}, attributes = {}, roomConfig } = claims;
  if (typeof video !== 'object' || video === null) throw new Error('claim "video" is not an object');
  if (typeof sip !== 'object' || sip === null) throw new Error('claim "sip" is not an object');
  const { admin = false, call = false } = sip as Record<string, unknown>;
  if (typeof admin !== 'boolean' || typeof call !== 'boolean')
    throw new Error('a claim of "sip" is not a boolean');
  if (!isTextRecord(attributes)) throw new Error('claim "attributes" is not a map of text to text');
  const grants = video as Record<string, unknown>;
  const flag = (name: string, otherwise = false) => {
    const value = grants[name] ?? otherwise;
    if (typeof value !== 'boolean') throw new Error(`claim "video.${name}" is not a boolean`);
    return value;
  };
  const text = (record: Record<string, unknown>, name: string) => {
    const value = record[name] ?? '';
    if (typeof value !== 'string') throw new Error(`claim "${name}" is not text`);
    return value;
  };
  const publishSources = grants.canPublishSources ?? [];
  if (!Array.isArray(publishSources)) throw new Error('claim "video.canPublishSources" is not a list');
  return {
    apiKey,
    identity: text(claims, 'sub'),
    name: text(claims, 'name'),
    metadata: text(claims, 'metadata'),
    attributes: { ...attributes },
    kind: text(claims, 'kind'),
    grants: {
      roomCreate: flag('roomCreate'),
      roomJoin: flag('roomJoin'),
      roomList: flag('roomList'),
      roomAdmin: flag('roomAdmin'),
      room: text(grants, 'room'),
      destinationRoom: text(grants, 'destinationRoom'),
      canPublish: flag('canPublish', true),
      canPublishSources: publishSources.map((name) => sources.get(name) ?? TrackSource.UNKNOWN),
      canSubscribe: flag('canSubscribe', true),
      canPublishData: flag('canPublishData', flag('canPublish', true)),
      canUpdateOwnMetadata: flag('canUpdateOwnMetadata'),
      hidden: flag('hidden'),
      recorder: flag('recorder'),
      agent: flag('agent'),
    },
    sip: { admin, call },
    roomConfig: roomConfig
      ? RoomConfiguration.fromJson(roomConfig as never, { ignoreUnknownFields: true })
      : undefined,
    expiresAtMs: Number(claims.exp) * 1000,
  };
}
