// The programs on the server side of a fault network: rooms, name server, Redis, and servers that say nothing.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BinaryReader, WireType } from '@bufbuild/protobuf';
import { AccessToken } from 'livekit-server-sdk';
import { findLivekitServer } from '../../test/support/livekit-server.mjs';
import { addresses } from './network.mjs';

/** As livekit-server's node selector says (AvailableSeconds); its clock counts in whole seconds. */
const nodeIsAliveForS = 5;

const keys = { apiKey: 'bench', apiSecret: 'a-secret-of-at-least-32-characters' };

export const ports = {
  signal: 7880,
  tcp: 7881,
  udp: 7882,
  redis: 6379,
  mute: 443,
  muteWebSocket: 9443,
};

const delayDevice = 'delay0';

const script = (name) => fileURLToPath(new URL(name, import.meta.url));

async function untilReady(child, what) {
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${what} ended before it was ready`);
  });
  await Promise.race([once(child.stdout, 'data'), ended]);
  return child;
}

export function tokenFor(identity, room = 'kitchen') {
  const token = new AccessToken(keys.apiKey, keys.apiSecret, { identity, ttl: '1h' });
  token.addGrant({ roomJoin: true, room });
  return token.toJwt();
}

/** A livekit-server on `address`; with Redis it is one node of a cluster. Resolves when it answers. */
export async function startRooms(network, { address = addresses.server, redis = false } = {}) {
  const isSecond = address !== addresses.server;
  const config = {
    port: ports.signal,
    bind_addresses: [address, ...(isSecond ? [] : [addresses.serverV6])],
    keys: { [keys.apiKey]: keys.apiSecret },
    rtc: {
      node_ip: address,
      // The TCP port is bound on every address, so that two nodes cannot share it.
      udp_port: ports.udp + (isSecond ? 10 : 0),
      tcp_port: ports.tcp + (isSecond ? 10 : 0),
      use_external_ip: false,
      ips: { includes: [`${address}/32`] },
    },
    ...(redis && { redis: { address: `127.0.0.1:${ports.redis}` } }),
  };
  const child = network.spawn('server', findLivekitServer(), ['--config-body', JSON.stringify(config)]);
  const log = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => log.push(...String(chunk).split('\n').filter(Boolean)));
  }
  const answers = `const answers = () => fetch('http://${address}:${ports.signal}').then(() => process.exit(0), () => setTimeout(answers, 30)); answers();`;
  const probe = network.spawn('server', process.execPath, ['-e', answers]);
  const [winner] = await Promise.race([
    once(probe, 'exit'),
    once(child, 'exit').then(() => ['server ended']),
  ]);
  if (winner !== 0) throw new Error(`livekit-server did not start: ${log.slice(-3).join('\n')}`);
  return { log, kill: (signal = 'SIGKILL') => child.kill(signal), ended: once(child, 'exit') };
}

export async function startRedis(network) {
  const args = ['--port', String(ports.redis), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  await untilReady(network.spawn('server', 'redis-server', args), 'redis-server');
}

/** A field of a protobuf message whose class is not published. */
function protobufField(bytes, wanted) {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number === wanted) return type === WireType.LengthDelimited ? reader.bytes() : reader.int64();
    reader.skip(type);
  }
  return undefined;
}

/** When (wall clock) a cluster stops taking the node at `address` for alive: 5 s after its last report to Redis. */
export function nodeIsGoneAtMs(network, address) {
  const redis = (...args) =>
    network.run('server', 'redis-cli', ['-p', String(ports.redis), ...args], { encoding: 'buffer' });
  for (const id of redis('HKEYS', 'nodes').toString().split('\n').filter(Boolean)) {
    // livekit_internal.proto: Node.ip, Node.stats, NodeStats.updated_at
    const node = redis('HGET', 'nodes', id).subarray(0, -1);
    if (new TextDecoder().decode(protobufField(node, 2)) !== address) continue;
    return (Number(protobufField(protobufField(node, 4), 2)) + nodeIsAliveForS) * 1_000;
  }
  throw new Error(`the cluster knows no node at ${address}`);
}

export async function startNameServer(network, zone) {
  await untilReady(
    network.spawn('server', process.execPath, [
      script('dns-server.mjs'),
      addresses.dns,
      JSON.stringify(zone),
    ]),
    'the name server',
  );
}

export async function startMuteServers(network) {
  const args = [script('mute-server.mjs'), addresses.server, String(ports.mute), String(ports.muteWebSocket)];
  await untilReady(network.spawn('server', process.execPath, args), 'the mute server');
}

/** From now on every packet through the router takes `delayMs`, and up to `jitterMs` more, each way. */
export async function startDelay(network, { delayMs, jitterMs }) {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-delay-'));
  try {
    const program = join(folder, 'delay');
    execFileSync('cc', ['-O1', '-o', program, script('delay.c')]);
    const args = [delayDevice, delayMs, jitterMs].map(String);
    await untilReady(network.spawn('router', program, args), 'the delay');
  } finally {
    rmSync(folder, { recursive: true });
  }
  network.routeThrough(delayDevice);
}
