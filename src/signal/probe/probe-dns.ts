import { Resolver } from 'node:dns/promises';
import { resolveDeadlines, withDeadline } from '../../deadlines/index.js';
import { OffhookError } from '../../errors/index.js';
import type { Finding, ProbeOptions } from './probe-step.js';

/**
 * The addresses of one family, asked of the name servers alone.
 *
 * @param found is called with them
 */
export async function probeDns(
  hostname: string,
  family: 4 | 6,
  options: ProbeOptions,
  found: (addresses: string[]) => void,
): Promise<Finding> {
  const resolver = new Resolver({ timeout: 1_000, tries: 3 });
  if (options.nameServers) resolver.setServers(options.nameServers);
  const servers = resolver.getServers().join(', ');
  const deadline = {
    stage: 'dns',
    host: hostname,
    timeoutMs: resolveDeadlines().dns,
    signal: options.signal,
    what: `IPv${family} addresses of ${hostname}`,
    advice: `The name servers (${servers}) do not answer: check them, and that UDP port 53 is open.`,
  } as const;
  try {
    const addresses = await withDeadline(deadline, (abort) => {
      abort.addEventListener('abort', () => resolver.cancel(), { once: true });
      return family === 4 ? resolver.resolve4(hostname) : resolver.resolve6(hostname);
    });
    found(addresses);
    return { outcome: 'ok', says: `${hostname} is ${addresses.join(', ')}` };
  } catch (error) {
    if (error instanceof OffhookError) throw error;
    const { code } = error as { code?: string };
    if (code === 'ENODATA') return { outcome: 'skipped', says: `${hostname} has no IPv${family} address` };
    return {
      outcome: 'failed',
      says: `${hostname}: the name servers (${servers}) say ${code}`,
      advice: 'Check the spelling of the host, and the name servers of this machine.',
    };
  }
}
