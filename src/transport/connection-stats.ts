import { createHash } from 'node:crypto';
import type { DtlsStats } from './dtls/index.js';
import type { IceStats } from './ice/index.js';
import type { DataChannelStats } from './sctp/index.js';

export interface CertificateStats {
  /** X.509. */
  der: Buffer;
  /** `AB:CD:…`, of SHA-256, as in `a=fingerprint`. */
  fingerprint: string;
}

/** What is known of a peer connection, without its media. Read seldom; nothing of it is made for each packet but counts. */
export interface ConnectionStats {
  /** Encrypted packets of DTLS, RTP and RTCP; not those of ICE. */
  packetsSent: number;
  packetsReceived: number;
  bytesSent: number;
  bytesReceived: number;
  /** When the last DTLS packet came or left, on the monotonic clock; those of media are known to their tracks. */
  lastDtlsReceivedMs: number | undefined;
  lastDtlsSentMs: number | undefined;
  /** Undefined before a description was written. */
  ice: IceStats | undefined;
  dtls: Omit<DtlsStats, 'remoteCertificate'> | undefined;
  localCertificate: CertificateStats;
  remoteCertificate: CertificateStats | undefined;
  channels: readonly DataChannelInfo[];
  channelsOpened: number;
  channelsClosed: number;
}

export interface DataChannelInfo extends DataChannelStats {
  label: string;
  protocol: string;
  /** The SCTP stream, once the connection is up. */
  id: number | undefined;
  state: 'connecting' | 'open' | 'closed';
}

export function certificateStats(der: Buffer): CertificateStats {
  const digest = createHash('sha256').update(der).digest('hex').toUpperCase();
  return { der, fingerprint: digest.match(/../g)!.join(':') };
}
