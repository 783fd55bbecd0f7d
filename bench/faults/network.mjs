// A network of the test's own: client — router — server, each a Linux network namespace, joined by veth pairs.
// Faults are nftables rules on the router, so that neither end knows of them. Needs root and iproute2, nftables.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';

/** Addresses inside the network; the same in every network, since namespaces do not see each other. */
export const addresses = {
  client: '10.88.1.2',
  /** A second address of the client, for a change of address in mid-call. */
  clientMoved: '10.88.1.3',
  server: '10.88.2.2',
  /** A second server on the same side. */
  secondServer: '10.88.2.3',
  /** Routed, but nothing answers there. */
  dead: '10.88.2.99',
  dns: '10.88.2.53',
  clientV6: 'fd88:1::2',
  serverV6: 'fd88:2::2',
  deadV6: 'fd88:2::99',
};

let created = 0;

/** Why this machine cannot make networks, or undefined when it can. */
export function missingForNetworks() {
  if (process.platform !== 'linux') return 'network namespaces need Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const [command, args] of [
    ['ip', ['-V']],
    ['nft', ['--version']],
  ]) {
    try {
      execFileSync(command, args, { stdio: 'ignore' });
    } catch {
      return `the command ${command} is absent`;
    }
  }
  return undefined;
}

function ip(...args) {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

export class FaultNetwork {
  #prefix = `oh${process.pid}x${created++}`;
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #children = new Set();

  constructor() {
    const { client, router, server } = this.#names();
    for (const name of [client, server]) {
      mkdirSync(`/etc/netns/${name}`, { recursive: true });
      writeFileSync(`/etc/netns/${name}/resolv.conf`, `nameserver ${addresses.dns}\n`);
    }
    for (const name of [client, router, server]) {
      ip('netns', 'add', name);
      ip('-n', name, 'link', 'set', 'lo', 'up');
    }
    this.#join(client, router, '1', [`${addresses.client}/24`], [`${addresses.clientV6}/64`]);
    this.#join(
      server,
      router,
      '2',
      [`${addresses.server}/24`, `${addresses.secondServer}/24`, `${addresses.dns}/24`],
      [`${addresses.serverV6}/64`],
    );
    this.run('router', 'sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    // The router answers for the dead address, so that packets to it vanish instead of being refused by ARP.
    ip('-n', router, 'neigh', 'add', addresses.dead, 'lladdr', '02:00:00:00:00:99', 'dev', 'v2');
    ip('-n', router, '-6', 'neigh', 'add', addresses.deadV6, 'lladdr', '02:00:00:00:00:99', 'dev', 'v2');
    this.nft('add table inet faults\nadd chain inet faults forward { type filter hook forward priority 0; }');
  }

  #names() {
    return { client: `${this.#prefix}c`, router: `${this.#prefix}r`, server: `${this.#prefix}s` };
  }

  #join(end, router, net, v4, v6) {
    ip('link', 'add', 'v0', 'netns', end, 'type', 'veth', 'peer', 'name', `v${net}`, 'netns', router);
    for (const address of v4) ip('-n', end, 'addr', 'add', address, 'dev', 'v0');
    for (const address of v6) ip('-n', end, 'addr', 'add', address, 'dev', 'v0', 'nodad');
    ip('-n', router, 'addr', 'add', `10.88.${net}.1/24`, 'dev', `v${net}`);
    ip('-n', router, 'addr', 'add', `fd88:${net}::1/64`, 'dev', `v${net}`, 'nodad');
    ip('-n', end, 'link', 'set', 'v0', 'up');
    ip('-n', router, 'link', 'set', `v${net}`, 'up');
    ip('-n', end, 'route', 'add', 'default', 'via', `10.88.${net}.1`);
    ip('-n', end, '-6', 'route', 'add', 'default', 'via', `fd88:${net}::1`);
  }

  /** Runs a command on a host to its end and returns what it printed. */
  run(host, command, args = [], options = {}) {
    return execFileSync('ip', ['netns', 'exec', this.#names()[host], command, ...args], {
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
      ...options,
    });
  }

  /** Starts a program on a host; it is killed when the network is closed. */
  spawn(host, command, args = [], options = {}) {
    const child = spawn('ip', ['netns', 'exec', this.#names()[host], command, ...args], options);
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  nft(script) {
    this.run('router', 'nft', ['-f', '-'], { input: `${script}\n` });
  }

  /** Replaces the faults: each rule is an nftables statement for forwarded packets, e.g. `udp dport 53 drop`. */
  setFaults(rules) {
    this.nft(
      [
        'flush chain inet faults forward',
        ...rules.map((rule) => `add rule inet faults forward ${rule}`),
      ].join('\n'),
    );
  }

  /** Sends all IPv4 packets from one side to the other through a device of the router, which hands them back. */
  routeThrough(device) {
    const { router } = this.#names();
    const table = '88';
    ip('-n', router, 'link', 'set', device, 'up');
    ip('-n', router, 'route', 'add', 'default', 'dev', device, 'table', table);
    for (const from of ['v1', 'v2']) ip('-n', router, 'rule', 'add', 'iif', from, 'lookup', table);
    this.run('router', 'sysctl', ['-qw', 'net.ipv4.conf.all.rp_filter=0']);
  }

  /** Gives the client another address and takes the first one away, as a change of network does. */
  moveClient() {
    const { client } = this.#names();
    // The first address of a network takes the later ones with it when it goes.
    ip('-n', client, 'addr', 'del', `${addresses.client}/24`, 'dev', 'v0');
    ip('-n', client, 'addr', 'add', `${addresses.clientMoved}/24`, 'dev', 'v0');
    ip('-n', client, 'route', 'replace', 'default', 'via', '10.88.1.1');
  }

  async close() {
    const ended = [...this.#children].map((child) => new Promise((resolve) => child.once('exit', resolve)));
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(ended);
    for (const name of Object.values(this.#names())) {
      // Programs that outlived the `ip netns exec` that started them.
      const pids = execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8' })
        .split('\n')
        .filter(Boolean);
      for (const pid of pids) process.kill(Number(pid), 'SIGKILL');
      ip('netns', 'del', name);
    }
    for (const name of [this.#names().client, this.#names().server]) {
      rmSync(`/etc/netns/${name}`, { recursive: true, force: true });
    }
  }
}
