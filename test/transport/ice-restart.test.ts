import { afterEach, describe, expect, test } from 'vitest';
import { type DataChannel, parseDescription } from '../../src/transport/index.js';
import { bothConnected, makePeers, once, type Peers } from './peers.js';

let peers: Peers | undefined;
afterEach(() => peers?.close());

const credentials = (sdp: string) => parseDescription(sdp).transport.ufrag;

async function connected(): Promise<{ peers: Peers; ours: DataChannel; theirs: DataChannel }> {
  peers = makePeers();
  const ours = peers.a.createDataChannel('_reliable', { ordered: true });
  const incoming = once(peers.b.pc, 'onDataChannel');
  peers.negotiate();
  const [theirs] = (await incoming) as [DataChannel];
  if (!ours.isOpen) await once(ours, 'onOpen');
  return { peers, ours, theirs };
}

async function echo(from: DataChannel, to: DataChannel, text: string): Promise<void> {
  const there = once(to, 'onMessage');
  from.send(Buffer.from(text));
  expect(Buffer.from((await there)[0] as Uint8Array).toString()).toBe(text);
}

describe('ICE restart', () => {
  test('keeps the connection, its channels and what is on its way', async () => {
    const { peers, ours, theirs } = await connected();
    const states: string[] = [];
    peers.a.pc.onStateChange = (state) => states.push(state);
    const before = peers.a.pc.pair;
    peers.negotiate({ iceRestart: true });
    await bothConnected(peers);
    expect(states).toEqual(['connecting', 'connected']);
    await echo(ours, theirs, 'over the new path');
    await echo(theirs, ours, 'and back');
    expect(peers.a.pc.pair!.local.port).not.toBe(before!.local.port);
  });

  test('carries on over the old path until the new one answers', async () => {
    const { peers, ours, theirs } = await connected();
    peers.negotiate({ iceRestart: true });
    expect(peers.a.pc.state).toBe('connecting');
    await echo(ours, theirs, 'while connecting');
    await bothConnected(peers);
  });

  test('can be done again, and between other negotiations', async () => {
    const { peers, ours, theirs } = await connected();
    for (let i = 0; i < 3; i++) {
      peers.negotiate({ iceRestart: true });
      await bothConnected(peers);
      await echo(ours, theirs, `after restart ${i}`);
    }
    peers.a.addAudio(7);
    const track = once(peers.b, 'onTrack');
    peers.negotiate();
    await track;
    await echo(ours, theirs, 'after a track was added');
  });

  test('offers new credentials, and no candidates of the old ones', async () => {
    const { peers } = await connected();
    const first = parseDescription(peers.a.offer());
    const second = peers.a.offer({ iceRestart: true });
    const parsed = parseDescription(second);
    expect(parsed.transport.ufrag).not.toBe(first.transport.ufrag);
    for (const candidate of first.transport.candidates) expect(second).not.toContain(candidate);
    expect(parsed.sections).toEqual(first.sections);
    const answer = peers.b.answer(second);
    expect(peers.a.pc.state).toBe('connecting');
    peers.a.pc.acceptAnswer(answer);
    await bothConnected(peers);
  });

  test('an other side that does not restart keeps the connection that there is', async () => {
    const { peers, ours, theirs } = await connected();
    const { ufrag, pwd } = parseDescription(peers.a.offer()).transport;
    const offer = peers.a.offer({ iceRestart: true });
    const unchanged = offer
      .replaceAll(/a=ice-ufrag:\S+/g, `a=ice-ufrag:${ufrag}`)
      .replaceAll(/a=ice-pwd:\S+/g, `a=ice-pwd:${pwd}`);
    const answer = peers.b.answer(unchanged);
    expect(peers.a.pc.state).toBe('connecting');
    peers.a.pc.acceptAnswer(answer);
    expect(peers.a.pc.state).toBe('connected');
    await echo(ours, theirs, 'as before');
    peers.negotiate({ iceRestart: true });
    await bothConnected(peers);
    await echo(theirs, ours, 'and a restart later is one');
  });

  test('an offer that withdraws an unanswered restart is a restart too', async () => {
    const { peers, ours, theirs } = await connected();
    const before = credentials(peers.a.offer());
    const restarting = credentials(peers.a.offer({ iceRestart: true }));
    expect(credentials(peers.a.offer())).toBe(restarting);
    expect(restarting).not.toBe(before);
    peers.negotiate();
    await bothConnected(peers);
    await echo(ours, theirs, 'after all');
  });

  test('before the first connection there is nothing to restart', () => {
    peers = makePeers();
    const { a } = peers;
    a.createDataChannel('_reliable', { ordered: true });
    expect(() => a.offer({ iceRestart: true })).toThrow(
      expect.objectContaining({ code: 'OFFHOOK_NOT_SUPPORTED' }),
    );
  });
});
