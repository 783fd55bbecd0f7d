import { afterEach, describe, expect, test } from 'vitest';
import { candidateAddress, type DataChannel, parseDescription } from '../../src/transport/index.js';
import { makePeers, once, type Peer } from './peers.js';
import { startTcpRelay, type TcpRelay } from './tcp-relay.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const withoutCandidates = (sdp: string) => sdp.replace(/a=candidate:.*\r\n/g, '');

/** `a` offers and is told of `b` only what `relay` makes of it; `b` hears nothing of `a`'s addresses. */
async function connectOverTcp() {
  const peers = makePeers();
  closers.push(() => peers.close());
  const { a, b } = peers;
  a.pc.onLocalCandidate = () => {};
  const ours = a.createDataChannel('_reliable', { ordered: true });
  const incoming = once(b.pc, 'onDataChannel');
  const answer = b.answer(withoutCandidates(a.offer()));
  const [theirs] = parseDescription(answer).transport.candidates;
  const relay = await startTcpRelay(candidateAddress(theirs!)!.port);
  closers.push(() => relay.close());
  a.pc.acceptAnswer(withoutCandidates(answer));
  a.pc.addIceCandidate({ candidate: relay.candidate, sdpMid: '0' });
  return { a, ours, incoming, relay };
}

async function connected(): Promise<{ a: Peer; ours: DataChannel; theirs: DataChannel; relay: TcpRelay }> {
  const { a, ours, incoming, relay } = await connectOverTcp();
  const [theirs] = (await incoming) as [DataChannel];
  if (!ours.isOpen) await once(ours, 'onOpen');
  return { a, ours, theirs, relay };
}

describe('where UDP does not connect', () => {
  test('TCP does, and carries messages of every size both ways', async () => {
    const { a, ours, theirs, relay } = await connected();
    expect(relay.connections).toBe(1);
    for (const bytes of [1, 1_000, 100_000]) {
      const there = once(theirs, 'onMessage');
      ours.send(Buffer.alloc(bytes, 7));
      expect(((await there)[0] as Uint8Array).length).toBe(bytes);
      const back = once(ours, 'onMessage');
      theirs.send(Buffer.alloc(bytes, 8));
      expect(((await back)[0] as Uint8Array).length).toBe(bytes);
    }
    expect(a.pc.pair).toMatchObject({ remote: { address: '127.0.0.1', protocol: 'tcp' } });
  });

  test('a TCP connection that ends is a failed connection', async () => {
    const { a, relay } = await connected();
    const failed = new Promise<void>((resolve) => {
      a.pc.onStateChange = (state) => {
        if (state === 'failed') resolve();
      };
    });
    relay.cut();
    await failed;
    expect(a.pc.state).toBe('failed');
  });

  test('closing while the fallback is under way leaves nothing behind', async () => {
    const { a, relay } = await connectOverTcp();
    await expect.poll(() => relay.connections, { timeout: 3_000 }).toBe(1);
    a.pc.close();
    expect(a.pc.state).toBe('closed');
  });
});
