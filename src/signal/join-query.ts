import { createRequire } from 'node:module';
import os from 'node:os';
import { gzipSync } from 'node:zlib';
import {
  ClientInfo,
  ClientInfo_Capability,
  ClientInfo_SDK,
  ConnectionSettings,
  JoinRequest,
  type ReconnectReason,
  type SessionDescription,
  WrappedJoinRequest,
  WrappedJoinRequest_Compression,
} from '@livekit/protocol';

/**
 * LiveKit's signalling protocol as this engine speaks it; servers choose by it what they send. livekit-server 1.10.1 and 1.11
 * pass the metadata of video frames on from version 17 on, whatever a client's capabilities are; later ones go by the capability.
 */
const protocolVersion = 17;

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

export interface JoinQueryOptions {
  autoSubscribe: boolean;
  adaptiveStream: boolean;
  /** What other clients may assume of this one (ClientInfo.client_protocol); 0 when not given. */
  clientProtocol?: number;
  /** What it can read beyond that (ClientInfo.capabilities). */
  capabilities?: readonly ClientInfo_Capability[];
  /** Resume of a session that the server still holds. */
  resume?: { participantSid: string; reason: ReconnectReason };
  /**
   * One peer connection for both directions (`/rtc/v1`), where the server has that; two (`/rtc`) otherwise. The offer
   * begins a session; a resumed one has none.
   */
  singleConnection?: { offer: SessionDescription | undefined };
}

/** Asks `offhook dev` to answer our ICE checks and send none, so that we nominate; other servers pass it over. */
const iceLite = ['ice_lite', '1'] as const;

/** The query of `/rtc`: how the session shall be, and who asks (livekit-server `ParseClientInfo`). */
export function joinQuery(options: JoinQueryOptions): URLSearchParams {
  const query = new URLSearchParams({
    protocol: String(protocolVersion),
    client_protocol: String(options.clientProtocol ?? 0),
    sdk: 'node',
    version,
    os: os.platform(),
    os_version: os.release(),
    auto_subscribe: options.autoSubscribe ? '1' : '0',
    adaptive_stream: options.adaptiveStream ? '1' : '0',
  });
  const { capabilities = [] } = options;
  if (capabilities.length > 0)
    query.set('capabilities', capabilities.map((capability) => ClientInfo_Capability[capability]).join(','));
  query.set(...iceLite);
  if (options.resume) {
    query.set('reconnect', '1');
    query.set('sid', options.resume.participantSid);
    query.set('reconnect_reason', String(options.resume.reason));
  }
  return query;
}

/** The query of `/rtc/v1`: the same, and the first offer, as a JoinRequest. */
export function singleConnectionQuery(
  options: JoinQueryOptions,
  offer: SessionDescription | undefined,
): URLSearchParams {
  const { autoSubscribe, adaptiveStream, clientProtocol = 0, capabilities = [], resume } = options;
  const request = new JoinRequest({
    clientInfo: new ClientInfo({
      sdk: ClientInfo_SDK.NODE,
      version,
      protocol: protocolVersion,
      clientProtocol,
      capabilities: [...capabilities],
      os: os.platform(),
      osVersion: os.release(),
    }),
    connectionSettings: new ConnectionSettings({ autoSubscribe, adaptiveStream }),
    ...(offer && { publisherOffer: offer }),
    ...(resume && {
      reconnect: true,
      participantSid: resume.participantSid,
      reconnectReason: resume.reason,
    }),
  });
  const wrapped = new WrappedJoinRequest({
    compression: WrappedJoinRequest_Compression.GZIP,
    joinRequest: new Uint8Array(gzipSync(request.toBinary())),
  });
  // Servers in Go want the padding, which base64url of Node.js leaves out.
  const encoded = Buffer.from(wrapped.toBinary())
    .toString('base64')
    .replaceAll('+', '-')
    .replaceAll('/', '_');
  return new URLSearchParams([['join_request', encoded], [...iceLite]]);
}
