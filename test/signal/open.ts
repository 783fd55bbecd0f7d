// Opening signal connections in tests: defaults for what a test does not care about, and tokens.
import { AccessToken } from 'livekit-server-sdk';
import { defaultDeadlinesMs } from '../../src/deadlines/index.js';
import { OffhookError } from '../../src/errors/index.js';
import { SignalClient, type SignalOptions } from '../../src/signal/index.js';
import { Timeline } from '../../src/timeline/index.js';

export function optionsFor(
  url: string | string[],
  token = 'no.token.needed',
  more: Partial<SignalOptions> = {},
): SignalOptions {
  return {
    urls: [url].flat(),
    token,
    timeline: new Timeline('test'),
    deadlines: { ...defaultDeadlinesMs },
    abort: new AbortController().signal,
    autoSubscribe: true,
    adaptiveStream: false,
    ...more,
  };
}

/** The error with which opening fails. */
export async function failureOf(options: SignalOptions): Promise<OffhookError> {
  try {
    (await SignalClient.open(options)).close();
  } catch (error) {
    if (error instanceof OffhookError) return error;
    throw error;
  }
  throw new Error('opening was to fail, and succeeded');
}

export function tokenFor(
  keys: { apiKey: string; apiSecret: string },
  options: { identity?: string; room?: string; ttl?: string } = {},
): Promise<string> {
  const { identity = 'alice', room = 'kitchen', ttl = '10m' } = options;
  const token = new AccessToken(keys.apiKey, keys.apiSecret, { identity, ttl });
  token.addGrant({ roomJoin: true, room });
  return token.toJwt();
}
