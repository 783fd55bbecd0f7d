import { afterEach, describe, expect, test } from 'vitest';
import { type DataChannel, parseSdp } from '../../src/transport/index.js';
import { readIceCredentials, withIceCredentials } from '../../src/transport/sdp-ice.js';
import { bothConnected, makePeers, once, type Peers } from './peers.js';

let peers: Peers | undefined;
afterEach(() => peers?.close());

const credentials = (sdp: string) => /a=ice-ufrag:(\S+)/.exec(sdp)![1];

async function connected(): Promise<{ peers: Peers; ours: DataChannel; theirs: DataChannel }> {
  peers = makePeers();
  const ours = peers.a.createDataChannel('_reliable', { ordered: true });
  const incoming = once(peers.b, 'onDataChannel');
  await peers.negotiate();
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
    peers.a.onStateChange = (state) => states.push(state);
    await peers.negotiate({ iceRestart: true });
    await bothConnected(peers);
    expect(states).toEqual(['connecting', 'connected']);
    await echo(ours, theirs, 'over the new path');
    await echo(theirs, ours, 'and back');
  });

  test('can be done again, from either side, and between other negotiations', async () => {
    const { peers, ours, theirs } = await connected();
    for (let i = 0; i < 3; i++) {
      await peers.negotiate({ iceRestart: true });
      await bothConnected(peers);
      await echo(ours, theirs, `after restart ${i}`);
    }
    peers.a.addAudioTrack({
      mid: '1',
      direction: 'sendonly',
      ssrc: 7,
      cname: 'test',
      streamId: 'stream',
      trackId: 'track',
      payloadTypes: { opus: 111 },
      opusParameters: 'useinbandfec=1',
    });
    const track = once(peers.b, 'onTrack');
    await peers.negotiate();
    await track;
    await echo(ours, theirs, 'after a track was added');
  });

  test('offers new credentials, and no candidates of the old ones', async () => {
    const { peers } = await connected();
    const first = await peers.a.createOffer();
    const second = await peers.a.createOffer({ iceRestart: true });
    expect(credentials(second.sdp)).not.toBe(credentials(first.sdp));
    expect(second.sdp).not.toContain('a=candidate');
    expect(parseSdp(second.sdp)).toEqual(parseSdp(first.sdp));
    peers.b.setRemoteDescription(second);
    const answer = await peers.b.createAnswer();
    expect(peers.a.state).toBe('connecting');
    peers.a.setRemoteDescription(answer);
    await bothConnected(peers);
  });

  test('an other side that does not restart keeps the connection that there is', async () => {
    const { peers, ours, theirs } = await connected();
    const { ufrag, pwd } = readIceCredentials((await peers.a.createOffer()).sdp)!;
    const offer = await peers.a.createOffer({ iceRestart: true });
    peers.b.setRemoteDescription({ ...offer, sdp: withIceCredentials(offer.sdp, { ufrag, pwd }) });
    const answer = await peers.b.createAnswer();
    expect(peers.a.state).toBe('connecting');
    peers.a.setRemoteDescription(answer);
    expect(peers.a.state).toBe('connected');
    await echo(ours, theirs, 'as before');
    await peers.negotiate({ iceRestart: true });
    await bothConnected(peers);
    await echo(theirs, ours, 'and a restart later is one');
  });

  test('before the first connection there is nothing to restart', async () => {
    peers = makePeers();
    peers.a.createDataChannel('_reliable', { ordered: true });
    await expect(peers.a.createOffer({ iceRestart: true })).rejects.toMatchObject({
      code: 'OFFHOOK_NOT_SUPPORTED',
    });
  });
});
