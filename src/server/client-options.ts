import { type AddTrackRequest, ClientInfo_Capability, type SessionDescription } from '@livekit/protocol';

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
  attributes: Record<string, string>;
  /** Address that the signalling connection came from. */
  address: string;
}

/** Reads the query of `/rtc`; what is missing or malformed has its default. */
export function readClientOptions(query: URLSearchParams, address: string): ClientOptions {
  const flag = (name: string) => ['1', 'true'].includes(query.get(name) ?? '');
  const integer = (name: string) => Number.parseInt(query.get(name) ?? '', 10) || 0;
  return {
    autoSubscribe: !query.has('auto_subscribe') || flag('auto_subscribe'),
    iceLite: flag('ice_lite'),
    singleConnection: false,
    addTracks: [],
    offer: undefined,
    resumeSid: flag('reconnect') ? (query.get('sid') ?? '') : undefined,
    clientProtocol: integer('client_protocol'),
    capabilities: capabilitiesOf(query.get('capabilities') ?? ''),
    sdk: query.get('sdk') ?? '',
    version: query.get('version') ?? '',
    attributes: attributesOf(query.get('attributes') ?? ''),
    address,
  };
}

function capabilitiesOf(names: string): ClientInfo_Capability[] {
  return names
    .split(',')
    .map((name) => ClientInfo_Capability[name.trim() as keyof typeof ClientInfo_Capability])
    .filter((capability) => capability !== undefined);
}

function attributesOf(encoded: string): Record<string, string> {
  if (encoded === '') return {};
  try {
    const parsed: unknown = JSON.parse(Buffer.from(encoded, 'base64url').toString());
    if (typeof parsed !== 'object' || parsed === null) return {};
    return Object.fromEntries(Object.entries(parsed).map(([key, value]) => [key, String(value)]));
  } catch {
    return {};
  }
}
