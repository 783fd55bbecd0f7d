import { networkInterfaces } from 'node:os';

const checkEveryMs = 500;

/** The addresses of this machine, scope identifiers left out. */
function addressesHere(): Set<string> {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return new Set(all.map(({ address }) => address));
}

/** An address as the list of interfaces has it: no scope, no IPv4 in IPv6. */
function plain(address: string): string {
  return address.replace(/%.*$/, '').replace(/^::ffff:/, '');
}

const watched = new Map<() => void, string>();
let timer: NodeJS.Timeout | undefined;

function check(): void {
  const here = addressesHere();
  for (const [gone, address] of watched) {
    if (here.has(address)) continue;
    unwatch(gone);
    gone();
  }
}

function unwatch(gone: () => void): void {
  watched.delete(gone);
  if (watched.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

/**
 * Calls `gone` once this machine no longer has `address`: connections from it are dead then, which TCP itself would
 * find out much later. Returns what stops it. All that is watched shares one timer.
 */
export function watchLocalAddress(address: string | undefined, gone: () => void): () => void {
  if (address === undefined || !addressesHere().has(plain(address))) return () => {};
  watched.set(gone, plain(address));
  timer ??= setInterval(check, checkEveryMs);
  return () => unwatch(gone);
}
