import { afterEach, describe, expect, test } from 'vitest';
import { candidateAddress, type DataChannel, PeerConnection } from '../../src/transport/index.js';
import { once } from './peers.js';
import { startTcpRelay, type TcpRelay } from './tcp-relay.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** `a` offers and is told of `b` only what `relay` makes of it; `b` hears nothing of `a`'s addresses. */
async function connectOverTcp(bridged: boolean) {
  const a = new PeerConnection({ name: 'a', bindAddress: '127.0.0.1', bridged });
  const b = new PeerConnection({ name: 'b', bindAddress: '127.0.0.1' });
  closers.push(
    () => a.close(),
    () => b.close(),
  );
  const bPort = new Promise<number>((resolve) => {
    b.onLocalCandidate = ({ candidate }) => resolve(candidateAddress(candidate)!.port);
  });
  const ours = a.createDataChannel('_reliable', { ordered: true });
  const incoming = once(b, 'onDataChannel');
  b.setRemoteDescription(withoutCandidates(await a.createOffer()));
  a.setRemoteDescription(withoutCandidates(await b.createAnswer()));
  const relay = await startTcpRelay(await bPort);
  closers.push(() => relay.close());
  a.addIceCandidate({ candidate: relay.candidate, sdpMid: '0' });
  return { a, b, ours, incoming, relay };
}

const withoutCandidates = <Description extends { sdp: string }>(description: Description): Description => ({
  ...description,
  sdp: description.sdp.replace(/a=candidate:.*\r\n/g, ''),
});

async function connected(
  bridged: boolean,
): Promise<{ a: PeerConnection; ours: DataChannel; theirs: DataChannel; relay: TcpRelay }> {
  const { a, ours, incoming, relay } = await connectOverTcp(bridged);
  const [theirs] = (await incoming) as [DataChannel];
  if (!ours.isOpen) await once(ours, 'onOpen');
  return { a, ours, theirs, relay };
}

describe('where UDP does not connect', () => {
  test('TCP does, and carries messages of every size both ways', async () => {
    const { a, ours, theirs, relay } = await connected(true);
    expect(relay.connections).toBe(1);
    for (const bytes of [1, 1_000, 100_000]) {
      const there = once(theirs, 'onMessage');
      ours.send(Buffer.alloc(bytes, 7));
      expect(((await there)[0] as Uint8Array).length).toBe(bytes);
      const back = once(ours, 'onMessage');
      theirs.send(Buffer.alloc(bytes, 8));
      expect(((await back)[0] as Uint8Array).length).toBe(bytes);
    }
    expect(a.selectedCandidatePair()).toMatchObject({ remote: { address: '127.0.0.1', protocol: 'tcp' } });
  });

  test('a TCP connection that ends is a failed connection', async () => {
    const { a, relay } = await connected(true);
    const failed = new Promise<void>((resolve) => {
      a.onStateChange = (state) => {
        if (state === 'failed') resolve();
      };
    });
    relay.cut();
    await failed;
    expect(a.state).toBe('failed');
  });

  test('the addon leaves TCP alone', async () => {
    const { a, relay } = await connectOverTcp(false);
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    expect(relay.connections).toBe(0);
    expect(a.state).toBe('connecting');
  });

  test('closing while the fallback is under way leaves nothing behind', async () => {
    const { a, relay } = await connectOverTcp(true);
    await expect.poll(() => relay.connections, { timeout: 3_000 }).toBe(1);
    a.close();
    expect(a.state).toBe('closed');
  });
});
