import { createRequire } from 'node:module';
import os from 'node:os';
import type { ReconnectReason } from '@livekit/protocol';

/** LiveKit's signalling protocol as this engine speaks it; servers choose by it what they send. */
const protocolVersion = 16;

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

export interface JoinQueryOptions {
  autoSubscribe: boolean;
  adaptiveStream: boolean;
  /** What other clients may assume of this one (ClientInfo.client_protocol); 0 when not given. */
  clientProtocol?: number;
  /** Resume of a session that the server still holds. */
  resume?: { participantSid: string; reason: ReconnectReason };
}

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
    // Asks `offhook dev` to answer our ICE checks and send none, so that we nominate on both connections; other servers
    // pass it over.
    ice_lite: '1',
  });
  if (options.resume) {
    query.set('reconnect', '1');
    query.set('sid', options.resume.participantSid);
    query.set('reconnect_reason', String(options.resume.reason));
  }
  return query;
}
