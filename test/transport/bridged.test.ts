import { afterEach, describe, expect, test } from 'vitest';
import { candidateAddress, PeerConnection } from '../../src/transport/index.js';
import { once } from './peers.js';
import { startUdpRelay, type UdpRelay } from './udp-relay.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const withoutCandidates = <Description extends { sdp: string }>(description: Description): Description => ({
  ...description,
  sdp: description.sdp.replace(/a=candidate:.*\r\n/g, ''),
});

/** Two bridged connections and a relay between them; a data channel opens. */
async function connectThroughRelay(prepare: (relay: UdpRelay) => void = () => {}) {
  const a = new PeerConnection({ name: 'a', bindAddress: '127.0.0.1', bridged: true });
  const b = new PeerConnection({ name: 'b', bindAddress: '127.0.0.1', bridged: true });
  const bPort = new Promise<number>((resolve) => {
    b.onLocalCandidate = ({ candidate }) => resolve(candidateAddress(candidate)!.port);
  });
  closers.push(
    () => a.close(),
    () => b.close(),
  );
  const ours = a.createDataChannel('_reliable', { ordered: true });
  const incoming = once(b, 'onDataChannel');
  b.setRemoteDescription(withoutCandidates(await a.createOffer()));
  a.setRemoteDescription(withoutCandidates(await b.createAnswer()));
  const relay = await startUdpRelay(await bPort);
  closers.push(() => relay.close());
  prepare(relay);
  a.addIceCandidate({ candidate: relay.candidate, sdpMid: '0' });
  await incoming;
  if (!ours.isOpen) await once(ours, 'onOpen');
  return { a, b, relay };
}

describe('a bridged connection', () => {
  test('tells when its path no longer answers, and goes on when it does again', async () => {
    const { a, relay } = await connectThroughRelay();
    expect(a.selectedCandidatePair()).toMatchObject({ remote: { protocol: 'udp' } });
    const silent = once(a, 'onSilent');
    relay.passes = () => false;
    await silent;
    expect(a.state).toBe('connected');
    relay.passes = () => true;
    // It can fall silent again only after an answer.
    const answered = new Promise<void>((resolve) => {
      relay.passes = (packet, to) => {
        if (to === 'client' && packet[0] === 1) resolve();
        return true;
      };
    });
    await answered;
    expect(a.state).toBe('connected');
  });

  test('comes up though the first of each kind of handshake packet is lost, each way', async () => {
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

  test('answers with its candidates in the answer', async () => {
    const a = new PeerConnection({ name: 'a', bindAddress: '127.0.0.1' });
    const b = new PeerConnection({ name: 'b', bindAddress: '127.0.0.1', bridged: true });
    closers.push(
      () => a.close(),
      () => b.close(),
    );
    a.createDataChannel('_reliable', { ordered: true });
    const told: string[] = [];
    b.onLocalCandidate = ({ candidate }) => told.push(candidate);
    b.setRemoteDescription(await a.createOffer());
    const answer = await b.createAnswer();
    expect(told).toHaveLength(1);
    expect(answer.sdp).toContain(`a=${told[0]}\r\n`);
    a.setRemoteDescription(answer);
    await once(b, 'onDataChannel');
  });
});
