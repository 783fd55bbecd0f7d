import { request } from 'node:http';
import type { Socket } from 'node:net';
import { getProxyForUrl } from 'proxy-from-env';
import { OffhookError } from '../errors/index.js';
import { runStage } from '../timeline/index.js';
import { type ConnectionOptions, stageTimeoutMs } from './connection-options.js';
import { describeEndpoint, type Endpoint, openTcp } from './happy-eyeballs.js';
import { unreachable } from './network-error.js';
import { hostnameOf, hostOf, isSecure, portOf } from './server-url.js';
import { openTls } from './tls.js';

const loopback = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/i;

/**
 * The proxy that the environment names for a server: HTTPS_PROXY for wss://, HTTP_PROXY for ws://, ALL_PROXY, unless
 * NO_PROXY lists the server. This machine itself is never reached through a proxy.
 *
 * @throws OffhookError `OFFHOOK_INVALID_URL` when the variable holds no URL of an HTTP proxy
 */
export function proxyFor(server: URL): URL | undefined {
  if (loopback.test(server.hostname)) return undefined;
  const asHttp = `${isSecure(server) ? 'https' : 'http'}://${server.host}`;
  const text = getProxyForUrl(asHttp);
  if (text === '') return undefined;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy?.protocol === 'http:' || proxy?.protocol === 'https:') return proxy;
  // The text itself may hold a password.
  const kind = proxy ? `a ${proxy.protocol}// URL` : 'not a URL';
  throw new OffhookError(
    'OFFHOOK_INVALID_URL',
    `the proxy that the environment names is not an HTTP proxy: its address is ${kind}`,
    {
      stage: 'url',
      host: server.host,
      advice: 'Set HTTPS_PROXY to http://host:port, or list this server in NO_PROXY.',
    },
  );
}

function authorizationOf(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {};
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}

/** Asks the proxy at the other end of `connection` for a tunnel (RFC 9110 section 9.3.6). */
function askForTunnel(connection: Socket, proxy: URL, target: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => connection.destroy(), { once: true });
    const connect = request({
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...authorizationOf(proxy) },
      createConnection: () => connection,
    });
    connect.once('error', reject);
    connect.once('connect', (response, socket, head) => {
      if (response.statusCode === 200) {
        if (head.length > 0) socket.unshift(head);
        resolve(connection);
        return;
      }
      const isRefusal = response.statusCode === 407 || response.statusCode === 403;
      reject(
        new OffhookError(
          'OFFHOOK_UNREACHABLE',
          `the proxy refused to connect to ${target}: HTTP ${response.statusCode}`,
          {
            stage: 'tcp',
            host: hostOf(proxy),
            advice: isRefusal
              ? 'Put user name and password into the URL of the proxy, and check that it allows this host.'
              : 'Check that the proxy can reach the server; NO_PROXY lists hosts to reach without it.',
          },
        ),
      );
    });
    connect.end();
  });
}

/** A connection to `endpoint` through an HTTP proxy; the proxy resolves the name. */
export async function openTunnel(
  endpoint: Endpoint,
  proxy: URL,
  options: ConnectionOptions,
): Promise<Socket> {
  const target = describeEndpoint(endpoint);
  const proxyHost = hostOf(proxy);
  const plain = await openTcp({ hostname: hostnameOf(proxy), port: portOf(proxy) }, options);
  const connection = isSecure(proxy) ? await openTls(plain, proxy, options) : plain;
  try {
    return await runStage(
      options.timeline,
      {
        stage: 'tcp',
        host: target,
        address: `through the proxy ${proxyHost}`,
        attempt: options.attempt,
        timeoutMs: stageTimeoutMs(options, 'tcp'),
        signal: options.signal,
        what: `connection to ${target} through the proxy ${proxyHost}`,
        advice: 'The proxy accepts connections and sends nothing: check that it is an HTTP proxy.',
      },
      (signal) => askForTunnel(connection, proxy, target, signal),
    );
  } catch (error) {
    connection.destroy();
    throw unreachable(error, { stage: 'tcp', host: proxyHost });
  }
}
