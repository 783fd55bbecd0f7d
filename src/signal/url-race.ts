import { LeaveRequest } from '@livekit/protocol';
import { type ErrorCode, OffhookError } from '../errors/index.js';
import type { ConnectionOptions } from './connection-options.js';
import type { JoinQueryOptions } from './join-query.js';
import { type OpenedServer, openServer } from './open-server.js';
import { RaceLost, RaceRunner } from './race-runner.js';
import { hasRegions, regionUrls } from './regions.js';
import { isServerUrl, parseServerUrl } from './server-url.js';

export interface UrlRaceOptions
  extends Pick<ConnectionOptions, 'timeline' | 'deadlines' | 'signal' | 'nameServers' | 'ca'>,
    JoinQueryOptions {
  /** ws(s):// or http(s)://, in order of preference. */
  urls: readonly string[];
  token: string;
  /** URLs (regions) that failed lately and are tried last. */
  avoid?: ReadonlySet<string>;
  /** Where the region list is; by default `/settings/regions` of servers of LiveKit Cloud. */
  regionsUrl?: string;
}

export interface UrlRaceWinner extends OpenedServer {
  /** The URL that answered. */
  url: string;
}

/** Codes that say most about why connecting failed, best first: a server's answer says more than an unreachable network. */
const telling: ErrorCode[] = [
  'OFFHOOK_UNAUTHORIZED',
  'OFFHOOK_SERVER_REFUSED',
  'OFFHOOK_PROTOCOL',
  'OFFHOOK_CERTIFICATE',
];

/** The error that stands for all of a lost race; the others are in its message, and in its `cause`. */
export function summarize(lost: RaceLost): unknown {
  const errors = lost.errors.filter((error) => error instanceof OffhookError);
  if (errors.length < 2) return lost.errors[0];
  const rank = (error: OffhookError) =>
    telling.includes(error.code) ? telling.indexOf(error.code) : telling.length;
  const [first] = [...errors].sort((a, b) => rank(a) - rank(b));
  const each = errors.map(({ message }) => message).join('; ');
  return new OffhookError(first!.code, `none of ${errors.length} servers could be joined: ${each}`, {
    stage: first!.stage,
    host: first!.host,
    advice: first!.advice,
    cause: lost,
  });
}

/** URLs that failed lately go to the end; the others keep their order. */
export function preferred(urls: readonly string[], avoid: ReadonlySet<string> = new Set()): string[] {
  return [...urls.filter((url) => !avoid.has(url)), ...urls.filter((url) => avoid.has(url))];
}

/** The regions of the servers in `urls` that have a list, without those that are under way already. */
async function furtherUrls(
  urls: readonly string[],
  options: UrlRaceOptions,
  signal: AbortSignal,
): Promise<string[]> {
  const list = options.regionsUrl === undefined ? undefined : new URL(options.regionsUrl);
  const server = urls.map(parseServerUrl).find((url) => list !== undefined || hasRegions(url));
  if (!server) return [];
  const endsAtMs = performance.now() + options.deadlines.url;
  const regions = await regionUrls(server, options.token, { ...options, signal, attempt: 0, endsAtMs }, list);
  const hosts = new Set(urls.map((url) => parseServerUrl(url).host));
  return preferred(regions, options.avoid).filter(
    (url) => isServerUrl(url) && !hosts.has(parseServerUrl(url).host),
  );
}

/**
 * Races the URLs, those given first and then the regions their servers list: the next one starts when a candidate has
 * failed or got no WebSocket for `deadlines.nextUrlAfter`; the first that is let in wins, the others are destroyed.
 *
 * @throws OffhookError, or the reason of `options.signal`
 */
export async function raceUrls(options: UrlRaceOptions): Promise<UrlRaceWinner> {
  const { urls, signal } = options;
  for (const url of urls) parseServerUrl(url);
  if (urls.length === 0) {
    throw new OffhookError('OFFHOOK_INVALID_URL', 'no URL of a server was given', { stage: 'url' });
  }
  const over = new AbortController();
  const abort = () => over.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  let attempts = 0;
  const race = new RaceRunner<string, UrlRaceWinner>({
    delayMs: options.deadlines.nextUrlAfter,
    signal,
    attempt: async (url, abandon, hold) => {
      attempts += 1;
      const endsAtMs = performance.now() + options.deadlines.candidateUrl;
      const candidate = { ...options, signal: abandon, attempt: attempts, endsAtMs, upgraded: hold };
      try {
        return { url, ...(await openServer(parseServerUrl(url), candidate)) };
      } catch (error) {
        // A server that answered a resume speaks for all that hold the session.
        const isVerdict = error instanceof OffhookError && error.cause instanceof LeaveRequest;
        if (isVerdict && options.resume) race.stop(error);
        throw error;
      }
    },
    dispose: ({ socket }) => socket.abandon(signal.reason),
  });
  race.add(preferred([...new Set(urls)], options.avoid));
  const fed = furtherUrls(urls, options, over.signal).then(
    (further) => {
      race.add(further);
      race.complete();
    },
    (error) => race.complete(error),
  );
  try {
    return await race.result;
  } catch (error) {
    throw error instanceof RaceLost ? summarize(error) : error;
  } finally {
    signal.removeEventListener('abort', abort);
    over.abort(new Error('connected already'));
    await fed;
  }
}
