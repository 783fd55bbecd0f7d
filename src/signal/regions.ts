import { RegionSettings } from '@livekit/protocol';
import { describeError, OffhookError } from '../errors/index.js';
import { limits } from '../limits.js';
import { createLogger } from '../logging/index.js';
import { runStage, Timeline } from '../timeline/index.js';
import type { ConnectionOptions } from './connection-options.js';
import { httpGet } from './http-get.js';
import { hostOf, httpEndpointOf } from './server-url.js';

const log = createLogger('signal/regions');

const cloudHost = /\.livekit\.(cloud|run)$/i;
/** How long a list is good when the server does not say. */
const defaultMaxAgeMs = 5_000;

interface Cached {
  urls: string[];
  goodUntilMs: number;
}

/** Region lists by the address they came from. A list that went stale still stands in when no newer one can be had. */
const cache = new Map<string, Cached>();

/** Whether a server has a list of regions: those of LiveKit Cloud do. */
export function hasRegions(server: URL): boolean {
  return cloudHost.test(server.hostname);
}

/** The lifetime that a Cache-Control header gives, in milliseconds. */
export function maxAgeMs(cacheControl: string | undefined): number | undefined {
  const seconds = /(?:^|[\s,])max-age=(\d+)/i.exec(cacheControl ?? '')?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

async function fetchRegions(list: URL, token: string, options: ConnectionOptions): Promise<Cached> {
  // Its own connection has rows of its own; in the timeline of the room, the list is one row.
  const answer = await httpGet(list, token, { ...options, timeline: new Timeline('region list') });
  if (answer.status !== 200) {
    throw new OffhookError('OFFHOOK_SERVER_REFUSED', `the server answered HTTP ${answer.status}`, {
      stage: 'url',
      host: hostOf(list),
    });
  }
  const { regions } = RegionSettings.fromJsonString(answer.body, { ignoreUnknownFields: true });
  return {
    urls: regions.map(({ url }) => url).slice(0, limits.regions.value),
    goodUntilMs: performance.now() + (maxAgeMs(answer.headers['cache-control']) ?? defaultMaxAgeMs),
  };
}

/**
 * The URLs of the regions in the order in which the server prefers them. Never fails: without a list, it returns none.
 *
 * @param list where the list is, by default `/settings/regions` of the server
 */
export async function regionUrls(
  server: URL,
  token: string,
  options: ConnectionOptions,
  list: URL = httpEndpointOf(server, 'settings/regions'),
): Promise<string[]> {
  const cached = cache.get(list.href);
  if (cached && performance.now() < cached.goodUntilMs) return cached.urls;
  const host = hostOf(list);
  try {
    const fetched = await runStage(
      options.timeline,
      {
        stage: 'url',
        host,
        timeoutMs: options.deadlines.url,
        signal: options.signal,
        what: `region list of ${host}`,
      },
      async (signal, span) => {
        const regions = await fetchRegions(list, token, { ...options, signal });
        span.set({ detail: `${regions.urls.length} regions` });
        return regions;
      },
    );
    cache.set(list.href, fetched);
    return fetched.urls;
  } catch (error) {
    if (!options.signal.aborted) log.debug(`no list of regions: ${describeError(error)}`);
    return cached?.urls ?? [];
  }
}
