import type { RtcConfig } from 'node-datachannel';
import { addonIceServers } from './ice.js';
import type { PeerConnectionOptions } from './peer-connection.js';

/** What the addon is told of a connection; of a bridged one no more than where the bridge finds it. */
export function addonConfig(
  { iceServers = [], udpMux, certificate, portRange }: PeerConnectionOptions,
  bridged: boolean,
  bindAddress: string | undefined,
): RtcConfig {
  return {
    iceServers: bridged ? [] : addonIceServers(iceServers),
    // Without it a connection that begins with data channels only has no SRTP, and tracks added later never open.
    forceMediaTransport: true,
    disableAutoNegotiation: true,
    enableIceUdpMux: udpMux ?? false,
    ...(certificate && {
      certificatePemFile: pem('CERTIFICATE', certificate.der),
      keyPemFile: certificate.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    }),
    ...(bindAddress === undefined ? {} : { bindAddress }),
    ...(portRange && { portRangeBegin: portRange.begin, portRangeEnd: portRange.end }),
  };
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g)!;
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
