// What is broken in each scenario. `connect` scenarios are broken from the start, `call` scenarios in a running call.
import { addresses } from './network.mjs';
import { nodeIsGoneAtMs, ports, startDelay, startMuteServers, startRedis, startRooms } from './servers.mjs';

const roomsUrl = `ws://${addresses.server}:${ports.signal}`;
const everything = ['drop'];
const media = [`udp dport ${ports.udp} drop`, `udp sport ${ports.udp} drop`];
const lossPercent = 30;
const outageMs = 5_000;

/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} title what is broken, for the table
 * @property {'connect' | 'call'} kind
 * @property {string} [url] the server's address when it is not the usual one
 * @property {Record<string, string[]>} [zone] names that the name server knows
 * @property {string[]} [faults] nftables rules on the router from the start
 * @property {boolean} [plugin] the caller loads the blocking plugin
 * @property {boolean} [audible] a call is possible: how long until it is heard, is measured too
 * @property {number} [giveUpMs] when the bench stops waiting for connect
 * @property {(network) => Promise<void>} [prepare] further programs that it needs
 * @property {boolean} [hitsBoth] the fault is the server's: both ends have to get over it, and run on the same engine
 * @property {(call) => Promise<void>} [strike] breaks the running call; resolves when everything works again
 */

/** @type {Scenario[]} */
export const scenarios = [
  { id: 'none', title: 'nothing', kind: 'connect', audible: true },
  {
    id: 'dns-silent',
    title: 'name servers do not answer',
    kind: 'connect',
    url: `ws://rooms.test:${ports.signal}`,
    zone: { 'rooms.test': [addresses.server] },
    faults: ['udp dport 53 drop', 'tcp dport 53 drop'],
  },
  { id: 'syn-dropped', title: 'SYN dropped', kind: 'connect', faults: [`tcp dport ${ports.signal} drop`] },
  {
    id: 'tls-swallowed',
    title: 'TLS handshake swallowed',
    kind: 'connect',
    url: `wss://${addresses.server}:${ports.mute}`,
    prepare: startMuteServers,
  },
  {
    id: 'http-silent',
    title: 'HTTP accepted, then silence',
    kind: 'connect',
    url: `ws://${addresses.server}:${ports.mute}`,
    prepare: startMuteServers,
  },
  {
    id: 'websocket-mute',
    title: 'WebSocket up, then mute',
    kind: 'connect',
    url: `ws://${addresses.server}:${ports.muteWebSocket}`,
    prepare: startMuteServers,
  },
  {
    id: 'address-dead',
    title: 'one IPv4 address of two dead',
    kind: 'connect',
    url: `ws://rooms.test:${ports.signal}`,
    zone: { 'rooms.test': [addresses.dead, addresses.server] },
    audible: true,
  },
  {
    id: 'ipv6-dead',
    title: 'IPv6 address dead, IPv4 alive',
    kind: 'connect',
    url: `ws://rooms.test:${ports.signal}`,
    zone: { 'rooms.test': [addresses.deadV6, addresses.server] },
    audible: true,
  },
  {
    id: 'filter-blocked',
    title: 'outbound 443 dropped, plugin blocks on it',
    kind: 'connect',
    faults: ['tcp dport 443 drop'],
    plugin: true,
    audible: true,
    giveUpMs: 180_000,
  },
  { id: 'udp-dropped', title: 'UDP dropped', kind: 'connect', faults: media, audible: true },
  {
    id: 'loss',
    title: `${lossPercent} % of all packets lost`,
    kind: 'connect',
    faults: [`numgen random mod 100 < ${lossPercent} drop`],
    audible: true,
  },
  {
    id: 'delay',
    title: '300 ms of delay each way',
    kind: 'connect',
    prepare: (network) => startDelay(network, { delayMs: 300, jitterMs: 20 }),
    audible: true,
  },
  {
    id: 'outage',
    title: `network gone for ${outageMs / 1000} s`,
    kind: 'call',
    strike: async ({ network, sleep }) => {
      network.setFaults(everything);
      await sleep(outageMs);
      network.setFaults([]);
    },
  },
  {
    id: 'udp-lost',
    title: 'UDP dropped from now on',
    kind: 'call',
    strike: async ({ network }) => network.setFaults(media),
  },
  {
    id: 'address-change',
    title: 'another address in mid-call',
    kind: 'call',
    strike: async ({ network }) => network.moveClient(),
  },
  {
    id: 'server-restart',
    title: 'server killed and restarted',
    kind: 'call',
    hitsBoth: true,
    strike: async ({ network, rooms }) => {
      rooms.kill();
      await rooms.ended;
      await startRooms(network);
    },
  },
  {
    id: 'node-replaced',
    title: 'server node replaced by another',
    kind: 'call',
    hitsBoth: true,
    url: `ws://rooms.test:${ports.signal}`,
    zone: { 'rooms.test': [addresses.server, addresses.secondServer] },
    prepare: startRedis,
    strike: async ({ network, rooms, sleep }) => {
      await startRooms(network, { address: addresses.secondServer, redis: true });
      rooms.kill();
      await rooms.ended;
      // The cluster works again when it has noticed: until then the other node asks the dead one for the room.
      await sleep(Math.max(0, nodeIsGoneAtMs(network, addresses.server) - Date.now()));
    },
  },
];

export function urlOf(scenario) {
  return scenario.url ?? roomsUrl;
}
