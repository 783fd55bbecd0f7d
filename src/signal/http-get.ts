import { type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import { withoutTokens } from '../errors/index.js';
import { limits } from '../limits.js';
import { openConnection } from './connection.js';
import type { ConnectionOptions } from './connection-options.js';
import { unreachable } from './network-error.js';
import { hostOf } from './server-url.js';

export interface HttpAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  /** The body as text, at most its first 64 KiB. */
  body: string;
}

/** Reads the body of an answer as far as `maxBytes`; a body that breaks off is given as far as it came. */
export async function readBody(
  response: IncomingMessage,
  maxBytes: number = limits.httpBody.value,
): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= maxBytes) break;
    }
  } catch {
    // What has come is what there is to read.
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString();
}

function exchange(url: URL, connection: Socket, token: string): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const get = request({
      host: url.hostname,
      port: url.port,
      path: `${url.pathname}${url.search}`,
      headers: {
        host: url.host,
        connection: 'close',
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      },
      createConnection: () => connection,
    });
    get.once('error', reject);
    get.once('response', (response) => {
      readBody(response).then((body) => {
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, headers, body: withoutTokens(body, [token]) });
      });
    });
    get.end();
  });
}

/**
 * One GET over a connection of its own, opened as signal connections are (deadlines, Happy Eyeballs, proxy).
 *
 * @param token none when empty
 * @throws OffhookError, or the reason of `options.signal`
 */
export async function httpGet(url: URL, token: string, options: ConnectionOptions): Promise<HttpAnswer> {
  const connection = await openConnection(url, options);
  const abort = () => connection.destroy(options.signal.reason);
  options.signal.addEventListener('abort', abort, { once: true });
  try {
    return await exchange(url, connection, token);
  } catch (error) {
    throw unreachable(error, { stage: 'url', host: hostOf(url) });
  } finally {
    options.signal.removeEventListener('abort', abort);
    connection.destroy();
  }
}
