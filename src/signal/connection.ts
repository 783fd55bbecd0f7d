import type { Socket } from 'node:net';
import type { ConnectionOptions } from './connection-options.js';
import { openTcp } from './happy-eyeballs.js';
import { openTunnel, proxyFor } from './proxy.js';
import { hostnameOf, isSecure, portOf } from './server-url.js';
import { openTls } from './tls.js';

/** The way to the server of `url` without encryption: TCP, through a proxy where the environment names one. */
export function openPlain(url: URL, options: ConnectionOptions): Promise<Socket> {
  const endpoint = { hostname: hostnameOf(url), port: portOf(url) };
  const proxy = proxyFor(url);
  return proxy ? openTunnel(endpoint, proxy, options) : openTcp(endpoint, options);
}

/**
 * A connection to the server of `url`: DNS, TCP (through a proxy where the environment names one), and TLS where the
 * URL says so, each a row of the timeline. Nothing is left of it when it fails or `options.signal` aborts.
 *
 * @throws OffhookError of stage `dns`, `tcp` or `tls`, or the reason of the signal
 */
export async function openConnection(url: URL, options: ConnectionOptions): Promise<Socket> {
  const plain = await openPlain(url, options);
  return isSecure(url) ? openTls(plain, url, options) : plain;
}
