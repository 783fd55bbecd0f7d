import { afterEach, describe, expect, test } from 'vitest';
import { candidateAddress, parseDescription } from '../../src/transport/index.js';
import { makePeers, once } from './peers.js';
import { startUdpRelay, type UdpRelay } from './udp-relay.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const withoutCandidates = (sdp: string) => sdp.replace(/a=candidate:.*\r\n/g, '');

/** Two connections and a relay between them; a data channel opens. */
async function connectThroughRelay(prepare: (relay: UdpRelay) => void = () => {}) {
  const peers = makePeers();
  closers.push(() => peers.close());
  const { a, b } = peers;
  const ours = a.createDataChannel('_reliable', { ordered: true });
  const incoming = once(b.pc, 'onDataChannel');
  const answer = b.answer(withoutCandidates(a.offer()));
  const [theirs] = parseDescription(answer).transport.candidates;
  const relay = await startUdpRelay(candidateAddress(theirs!)!.port);
  closers.push(() => relay.close());
  prepare(relay);
  a.pc.acceptAnswer(withoutCandidates(answer));
  a.pc.addIceCandidate({ candidate: relay.candidate, sdpMid: '0' });
  await incoming;
  if (!ours.isOpen) await once(ours, 'onOpen');
  return { a, b, relay };
}

describe('a path', () => {
  test('is known to be silent when it no longer answers, and may answer again', async () => {
    const { a, relay } = await connectThroughRelay();
    expect(a.pc.pair).toMatchObject({ remote: { protocol: 'udp' } });
    const silent = once(a.pc, 'onSilent');
    relay.passes = () => false;
    await silent;
    expect(a.pc.state).toBe('connected');
    // It can fall silent again only after an answer.
    const answered = new Promise<void>((resolve) => {
      relay.passes = (packet, to) => {
        if (to === 'client' && packet[0] === 1) resolve();
        return true;
      };
    });
    await answered;
    expect(a.pc.state).toBe('connected');
  });

  test('carries a handshake though the first of each kind of its packets is lost, each way', async () => {
    const seen = new Set<string>();
    let lost = 0;
    await connectThroughRelay((relay) => {
      relay.passes = (packet, to) => {
        if (packet[0] !== 22) return true;
        const epoch = packet.readUInt16BE(3);
        const message = `${to} ${epoch} ${epoch === 0 ? packet[13] : 'Finished'}`;
        if (seen.has(message)) return true;
        seen.add(message);
        lost++;
        return false;
      };
    });
    expect(lost).toBeGreaterThan(2);
  });
});
