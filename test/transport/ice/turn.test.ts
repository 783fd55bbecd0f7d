import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { setLogSink } from '../../../src/logging/index.js';
import type { DataChannel, IceServer } from '../../../src/transport/index.js';
import { freeTcpPort, startLivekitServer } from '../../support/livekit-server.mjs';
import { describeWith } from '../../support/parts.js';
import { turnCredentials } from '../../support/turn.js';
import { until } from '../../support/until.js';
import { makePeers, once, type Peers } from '../peers.js';

let server: Awaited<ReturnType<typeof startLivekitServer>>;
let servers: { udp: IceServer; tcp: IceServer };

/** A livekit-server with its embedded TURN server, on UDP and on TCP, and what a participant is told to log in with. */
async function startServer() {
  server = await startLivekitServer({ turn: true });
  const { username, credential } = await turnCredentials(server);
  const { udpPort, tcpPort } = server.turn!;
  servers = {
    udp: { urls: [`turn:127.0.0.1:${udpPort}?transport=udp`], username, credential },
    tcp: { urls: [`turn:127.0.0.1:${tcpPort}?transport=tcp`], username, credential },
  };
}

const opened: Peers[] = [];

describeWith(['livekit-server'], 'through a TURN server', () => {
  beforeAll(startServer);
  afterAll(() => server?.stop());
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
    const lines: string[] = [];
    setLogSink(({ message }) => lines.push(message));
    onTestFinished(() => setLogSink(() => {}));
    const port = await freeTcpPort();
    const refused = connect({ ...servers.tcp, credential: 'wrong' });
    const absent = connect({ ...servers.tcp, urls: [`turns:127.0.0.1:${port}`] });
    const given = () => lines.filter((line) => line.includes(': no relay at 127.0.0.1:'));
    await until('relays that were given up', () => given().length === 2, { seen: () => lines });
    expect(given().some((line) => line.includes(`:${port}: `))).toBe(true);
    for (const { a, announced } of [refused, absent]) {
      expect(a.pc.state).toBe('connecting');
      expect(announced).toEqual([]);
    }
  });
});
