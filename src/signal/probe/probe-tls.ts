import type { TLSSocket } from 'node:tls';
import { openPlain } from '../connection.js';
import { openTls } from '../tls.js';
import { connectionFor, type Finding, type ProbeOptions } from './probe-step.js';

const warningDays = 14;
const dayMs = 86_400_000;

function describeCertificate(socket: TLSSocket, nowMs: number): Finding {
  const { subject, issuer, valid_to: validTo } = socket.getPeerCertificate();
  const daysLeft = Math.floor((Date.parse(validTo) - nowMs) / dayMs);
  const says = `${socket.getProtocol()}; certificate of ${subject.CN}, from ${issuer.O ?? issuer.CN}, valid for ${daysLeft} days`;
  if (daysLeft >= warningDays) return { outcome: 'ok', says };
  return { outcome: 'warning', says, advice: 'Renew the certificate of the server soon.' };
}

/** The TLS handshake and what the certificate says. */
export async function probeTls(server: URL, options: ProbeOptions): Promise<Finding> {
  const connection = connectionFor(options);
  const socket = await openTls(await openPlain(server, connection), server, connection);
  try {
    return describeCertificate(socket, Date.now());
  } finally {
    socket.destroy();
  }
}
