import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { defaultDeadlinesMs } from '../../../src/deadlines/index.js';
import { SignalClient } from '../../../src/signal/index.js';
import { Timeline } from '../../../src/timeline/index.js';
import type { DataChannel, IceServer } from '../../../src/transport/index.js';
import { findLivekitServer, freeTcpPort } from '../../support/livekit-server.mjs';
import { describeWith } from '../../support/parts.js';
import { makeToken } from '../../support/token.mjs';
import { makePeers, once, type Peers } from '../peers.js';

const keys = { apiKey: 'devkey', apiSecret: 'secret-of-a-test-server-32-bytes' };
const binary = findLivekitServer();
let child: ChildProcess | undefined;
let servers: { udp: IceServer; tcp: IceServer };

/** A livekit-server with its embedded TURN server, on UDP and on TCP as behind a load balancer that ends TLS. */
async function startServer() {
  const [port, tcpPort, udpPort, turnUdp, turnTcp] = await Promise.all(
    Array.from({ length: 5 }, freeTcpPort),
  );
  const config = {
    port,
    bind_addresses: ['127.0.0.1'],
    keys: { [keys.apiKey]: keys.apiSecret },
    rtc: {
      udp_port: udpPort,
      tcp_port: tcpPort,
      node_ip: '127.0.0.1',
      enable_loopback_candidate: true,
      interfaces: { includes: ['lo'] },
    },
    turn: {
      enabled: true,
      domain: 'turn.example.com',
      udp_port: turnUdp,
      tls_port: turnTcp,
      external_tls: true,
    },
  };
  child = spawn(binary!, ['--config-body', JSON.stringify(config)], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  while (child.exitCode === null && !(await fetch(url).catch(() => undefined))?.ok) await delay(25);
  const signal = await SignalClient.open({
    urls: [url.replace('http', 'ws')],
    token: await makeToken({ url, ...keys }, 'turn', 'somebody'),
    timeline: new Timeline('turn'),
    deadlines: { ...defaultDeadlinesMs },
    abort: new AbortController().signal,
    autoSubscribe: false,
    adaptiveStream: false,
  });
  const { iceServers } = signal.first.value;
  signal.close();
  const { username, credential } = iceServers.find(({ urls }) =>
    urls.some((each) => each.startsWith('turn')),
  )!;
  servers = {
    udp: { urls: [`turn:127.0.0.1:${turnUdp}?transport=udp`], username, credential },
    tcp: { urls: [`turn:127.0.0.1:${turnTcp}?transport=tcp`], username, credential },
  };
}

const opened: Peers[] = [];

describeWith(['livekit-server'], 'through a TURN server', () => {
  beforeAll(startServer);
  afterAll(() => child?.kill('SIGKILL'));
  afterEach(() => {
    for (const peers of opened.splice(0)) peers.close();
  });

  /** `a` may use relays only. */
  function connect(iceServer: IceServer) {
    const peers = makePeers({ iceServers: [iceServer], protocols: [] }, {});
    opened.push(peers);
    const { a, b } = peers;
    const announced: string[] = [];
    a.pc.onLocalCandidate = (candidate) => {
      announced.push(candidate.candidate);
      b.pc.addIceCandidate(candidate);
    };
    const ours = a.createDataChannel('_reliable', { ordered: true });
    const incoming = once(b.pc, 'onDataChannel');
    peers.negotiate();
    return { a, ours, incoming, announced };
  }

  test.each(['udp', 'tcp'] as const)('data crosses, over %s', async (transport) => {
    const { a, ours, incoming, announced } = connect(servers[transport]);
    const [theirs] = (await incoming) as [DataChannel];
    if (!ours.isOpen) await once(ours, 'onOpen');
    const there = once(theirs, 'onMessage');
    ours.send(Buffer.alloc(30_000, 7));
    expect(((await there)[0] as Uint8Array).length).toBe(30_000);
    expect(a.pc.pair).toMatchObject({ local: { type: 'relay' } });
    expect(announced).toHaveLength(1);
  });

  test('wrong credentials, and a server that is not there, leave the connection unconnected, and no more', async () => {
    const refused = connect({ ...servers.tcp, credential: 'wrong' });
    const absent = connect({ ...servers.tcp, urls: [`turns:127.0.0.1:${await freeTcpPort()}`] });
    await delay(500);
    for (const { a, announced } of [refused, absent]) {
      expect(a.pc.state).toBe('connecting');
      expect(announced).toEqual([]);
    }
  });
});
