import { isIP, isIPv6, type Socket } from 'node:net';
import { OffhookError } from '../errors/index.js';
import { runStage } from '../timeline/index.js';
import { type ConnectionOptions, stageTimeoutMs } from './connection-options.js';
import { unreachable } from './network-error.js';
import { connectPersistently } from './persistent-connect.js';
import { RaceLost, RaceRunner } from './race-runner.js';
import { resolveHost } from './resolver.js';

export interface Endpoint {
  /** Host name or address, without brackets. */
  hostname: string;
  port: number;
}

/** Host and port for people, IPv6 addresses in brackets. */
export function describeEndpoint({ hostname, port }: Endpoint): string {
  return hostname.includes(':') ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}

async function connectAddress(
  address: string,
  endpoint: Endpoint,
  options: ConnectionOptions,
  signal: AbortSignal,
): Promise<Socket> {
  const host = describeEndpoint(endpoint);
  const target = `${describeEndpoint({ ...endpoint, hostname: address })}/tcp`;
  return runStage(
    options.timeline,
    {
      stage: 'tcp',
      host,
      address: target,
      attempt: options.attempt,
      timeoutMs: stageTimeoutMs(options, 'tcp'),
      signal,
      what: `TCP to ${target}`,
      advice: 'Packets to it are dropped: check the address, and firewalls on the way.',
    },
    async (abort) => {
      try {
        return await connectPersistently({ host: address, port: endpoint.port }, abort);
      } catch (error) {
        throw unreachable(error, {
          stage: 'tcp',
          host: address === endpoint.hostname ? host : `${host} (${address})`,
        });
      }
    },
  );
}

/** The error that stands for all of a lost race: the first one, which belongs to the address that was preferred. */
function summary(lost: RaceLost, host: string): unknown {
  const [first] = lost.errors;
  if (lost.errors.length < 2 || !(first instanceof OffhookError)) return first;
  const each = lost.errors
    .map((error) => (error instanceof Error ? error.message : String(error)))
    .join('; ');
  return new OffhookError(first.code, `none of the addresses of ${host} can be reached: ${each}`, {
    stage: first.stage,
    host,
    advice: first.advice,
    cause: lost,
  });
}

/** Feeds the race with the addresses of a name; the row of stage `dns` ends with the first of them. Never rejects. */
async function feed(
  race: RaceRunner<string, Socket>,
  hostname: string,
  options: ConnectionOptions,
  signal: AbortSignal,
): Promise<void> {
  const known: string[] = [];
  if (isIP(hostname)) {
    race.add([hostname]);
    race.complete();
    return;
  }
  try {
    await runStage(
      options.timeline,
      {
        stage: 'dns',
        host: hostname,
        attempt: options.attempt,
        timeoutMs: stageTimeoutMs(options, 'dns'),
        signal,
        what: `addresses of ${hostname}`,
        advice: 'Check the name servers of this machine and that UDP port 53 is open.',
      },
      (abort, span) =>
        resolveHost(hostname, {
          signal: abort,
          servers: options.nameServers,
          found: (addresses) => {
            // Name servers and the system's resolver may both answer.
            const fresh = [...new Set(addresses)].filter((address) => !known.includes(address));
            known.push(...fresh);
            race.add(fresh);
            span.end('ok');
            span.set({ detail: known.join(', ') });
          },
        }),
    );
    race.complete();
  } catch (error) {
    race.complete(known.length > 0 ? undefined : error);
  }
}

/**
 * Opens a TCP connection to a host: both address families are asked for at once, and the addresses are tried one after
 * the other, 250 ms apart, as RFC 8305 (Happy Eyeballs) says. The losers are destroyed.
 *
 * @throws OffhookError of stage `dns` or `tcp`, or the reason of `options.signal`
 */
export async function openTcp(endpoint: Endpoint, options: ConnectionOptions): Promise<Socket> {
  const over = new AbortController();
  const abort = () => over.abort(options.signal.reason);
  options.signal.addEventListener('abort', abort, { once: true });
  const race = new RaceRunner<string, Socket>({
    delayMs: options.deadlines.nextAddressAfter,
    pick: pickAddress,
    signal: options.signal,
    attempt: (address, signal) => connectAddress(address, endpoint, options, signal),
    dispose: (socket) => socket.destroy(),
  });
  const fed = feed(race, endpoint.hostname, options, over.signal);
  try {
    return await race.result;
  } catch (error) {
    throw error instanceof RaceLost ? summary(error, describeEndpoint(endpoint)) : error;
  } finally {
    options.signal.removeEventListener('abort', abort);
    over.abort(new Error('connected already'));
    await fed;
  }
}

/**
 * Families take turns, IPv6 first (RFC 8305 section 4, First Address Family Count 1); within a family the resolver's
 * order stays.
 */
export function pickAddress(waiting: readonly string[], started: readonly string[]): number {
  const last = started.at(-1);
  const wantsIPv6 = last === undefined || !isIPv6(last);
  const index = waiting.findIndex((address) => isIPv6(address) === wantsIPv6);
  return Math.max(index, 0);
}
