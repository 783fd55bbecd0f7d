import { type AddTrackRequest, ClientInfo_Capability, type SessionDescription } from '@livekit/protocol';
import { enumMember, isTextRecord, parseInt32 } from './checked-values.js';
import { HttpError } from './http-error.js';

/** What a client says of itself and of the session it wants. */
export interface ClientOptions {
  autoSubscribe: boolean;
  /** The client wants a server that begins no ICE checks. */
  iceLite: boolean;
  /** The client publishes and receives on one peer connection. */
  singleConnection: boolean;
  /** What the client wants to publish at once. */
  addTracks: readonly AddTrackRequest[];
  offer: SessionDescription | undefined;
  /** The session that the client wants to go on with. */
  resumeSid: string | undefined;
  clientProtocol: number;
  capabilities: ClientInfo_Capability[];
  /** `js`, `node`, `rust`, …; for logs. */
  sdk: string;
  version: string;
  /** Metadata and attributes that the client asks for itself; taken only with the grant for that. */
  metadata: string;
  attributes: Record<string, string>;
  /** Address that the signalling connection came from. */
  address: string;
}

/**
 * Reads the query of `/rtc`; what is missing or malformed has its default.
 *
 * @param strict whether malformed attributes are an error, as they are to `/rtc/validate`.
 * @throws HttpError 400 when `strict` and the attributes cannot be decoded.
 */
export function readClientOptions(
  query: URLSearchParams,
  address: string,
  { strict = false } = {},
): ClientOptions {
  const flag = (name: string) => ['1', 'true'].includes(query.get(name) ?? '');
  return {
    autoSubscribe: !query.has('auto_subscribe') || flag('auto_subscribe'),
    iceLite: flag('ice_lite'),
    singleConnection: false,
    addTracks: [],
    offer: undefined,
    resumeSid: flag('reconnect') ? (query.get('sid') ?? '') : undefined,
    clientProtocol: parseInt32(query.get('client_protocol')),
    capabilities: capabilitiesOf(query.get('capabilities') ?? ''),
    sdk: query.get('sdk') ?? '',
    version: query.get('version') ?? '',
    metadata: '',
    attributes: attributesOf(query.get('attributes') ?? '', strict),
    address,
  };
}

function capabilitiesOf(names: string): ClientInfo_Capability[] {
  const known = names.split(',').flatMap((name) => enumMember(ClientInfo_Capability, name.trim()) ?? []);
  return [...new Set(known)];
}

function attributesOf(encoded: string, strict: boolean): Record<string, string> {
  if (encoded === '') return {};
  try {
    const parsed: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString());
    if (isTextRecord(parsed)) return parsed;
  } catch {
    // Falls through: it is no JSON.
  }
  if (strict) throw new HttpError(400, 'cannot decode attributes');
  return {};
}
