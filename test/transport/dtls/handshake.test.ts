import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../audio/seeded-random.js';
import { Pair, type Side } from './pair.js';
import { isProtected, recordsOf } from './records.js';

describe('a DTLS handshake', () => {
  test('connects both sides with the same keys', () => {
    const pair = new Pair().connect();
    const [client] = pair.client.connected;
    const [server] = pair.server.connected;
    expect(client!.srtp!.profile).toBe('AEAD_AES_128_GCM');
    expect(client!.srtp).toEqual({
      ...server!.srtp,
      local: server!.srtp!.remote,
      remote: server!.srtp!.local,
    });
    expect(client!.srtp!.local.key).not.toEqual(client!.srtp!.remote.key);
    expect(pair.client.connection.exportKeyingMaterial('label', 40)).toEqual(
      pair.server.connection.exportKeyingMaterial('label', 40),
    );
    // Four flights, of which each takes 10 ms; the client is connected when the last one is there.
    expect(pair.client.connectedMs).toBe(1_000 + 4 * 10);
    expect(pair.client.sent).toHaveLength(2);
    expect(pair.server.sent).toHaveLength(2);
  });

  test('carries data both ways', () => {
    const pair = new Pair().connect();
    expect(pair.client.connection.send(Buffer.from('from the client'))).toBe(true);
    expect(pair.server.connection.send(Buffer.from('from the server'))).toBe(true);
    pair.run(() => false);
    expect(pair.server.data).toEqual(['from the client']);
    expect(pair.client.data).toEqual(['from the server']);
  });

  test('connects through loss, repetition, reordering and small datagrams, once, and carries data', () => {
    const lossyLink = fc.record({
      seed: fc.nat(),
      loss: fc.double({ min: 0, max: 0.5, noNaN: true }),
      repetition: fc.double({ min: 0, max: 0.5, noNaN: true }),
      maxDelayMs: fc.integer({ min: 1, max: 400 }),
      clientMtu: fc.integer({ min: 200, max: 1_400 }),
      serverMtu: fc.integer({ min: 200, max: 1_400 }),
    });
    fc.assert(
      fc.property(lossyLink, ({ seed, loss, repetition, maxDelayMs, clientMtu, serverMtu }) => {
        const random = seededRandom(seed);
        const delayMs = () => 1 + random() * maxDelayMs;
        const handshakeTimeoutMs = 600_000;
        const pair = new Pair(
          () => (random() < loss ? [] : random() < repetition ? [delayMs(), delayMs()] : [delayMs()]),
          {
            client: { mtuBytes: clientMtu, handshakeTimeoutMs },
            server: { mtuBytes: serverMtu, handshakeTimeoutMs },
          },
        );
        pair.start().run(() => pair.isConnected, handshakeTimeoutMs);
        expect(pair.isConnected).toBe(true);
        for (const datagram of pair.client.sent) expect(datagram.length).toBeLessThanOrEqual(clientMtu);
        for (const datagram of pair.server.sent) expect(datagram.length).toBeLessThanOrEqual(serverMtu);
        pair.setLink(() => [3, 4]);
        pair.client.connection.send(Buffer.from('a'));
        pair.server.connection.send(Buffer.from('b'));
        pair.run(() => false);
        expect(pair.server.data).toEqual(['a']);
        expect(pair.client.data).toEqual(['b']);
        expect(pair.client.connected).toHaveLength(1);
        expect(pair.server.connected).toHaveLength(1);
        expect([...pair.client.closed, ...pair.server.closed]).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});

/** A ClientHello may come in two datagrams: how often each side began to send one. */
const hellosOf = (side: Side) => side.sent.filter((datagram) => datagram.readUIntBE(19, 3) === 0).length;
const datagramsOf = (side: Side) => side.sent.length;

describe('a lost flight', () => {
  test('is sent again after 100 ms, then after twice that time, up to 400 ms', () => {
    const pair = new Pair(() => []).start();
    const times: number[] = [];
    for (let sent = 1; times.length < 7; sent++) {
      pair.run(() => hellosOf(pair.client) > sent);
      times.push(pair.nowMs - 1_000);
    }
    expect(times).toEqual([100, 300, 700, 1_100, 1_500, 1_900, 2_300]);
  });

  test('goes out in two datagrams every other time when it is a ClientHello, for pion', () => {
    const pair = new Pair(() => []).start().run(() => false, 1_000);
    const pieces = pair.client.sent.map((datagram) => ({
      offset: datagram.readUIntBE(19, 3),
      bytes: datagram.readUIntBE(22, 3),
    }));
    const whole = pieces[0]!.bytes;
    expect(pieces.slice(0, 4)).toEqual([
      { offset: 0, bytes: whole },
      { offset: 0, bytes: pieces[1]!.bytes },
      { offset: pieces[1]!.bytes, bytes: whole - pieces[1]!.bytes },
      { offset: 0, bytes: whole },
    ]);
  });

  test('is sent again after 1.5 round trips where they take longer', () => {
    const pair = new Pair(() => []);
    pair.client.connection.setRoundTripMs(600);
    pair.start().run(() => hellosOf(pair.client) === 3);
    expect(pair.nowMs - 1_000).toBe(900 + 1_200);
  });

  test('is not sent again where the path is slow and ICE measured it', () => {
    const pair = new Pair(() => [300]);
    for (const { connection } of [pair.client, pair.server]) connection.setRoundTripMs(600);
    pair.connect();
    expect([pair.client.sent.length, pair.server.sent.length]).toEqual([2, 2]);
  });

  test('is sent again at once when the peer repeats its own', () => {
    // Everything of the server's is lost until the client has said hello twice.
    const pair = new Pair((_datagram, from) =>
      from === 'server' && datagramsOf(pair.client) < 2 ? [] : [10],
    );
    pair.start().run(() => datagramsOf(pair.server) === 2);
    // The server's own time had not come: 10 ms after the first hello, and 100 ms more.
    expect(pair.nowMs).toBe(1_000 + 10 + 100);
    pair.run(() => pair.isConnected);
    expect(pair.isConnected).toBe(true);
  });

  test('is sent again by a server that is done, when its Finished did not arrive', () => {
    const pair = new Pair((datagram) =>
      recordsOf(datagram).some(isProtected) && datagram[0] === 20 ? [] : [10],
    );
    pair.start().run(() => pair.server.connected.length > 0, 1_000);
    pair.run(() => false, 500);
    expect(pair.client.connected).toEqual([]);
    pair.setLink(() => [10]);
    pair.run(() => pair.isConnected);
    expect(pair.isConnected).toBe(true);
    // Nothing goes back and forth afterwards.
    const sent = datagramsOf(pair.client) + datagramsOf(pair.server);
    pair.run(() => false);
    expect(datagramsOf(pair.client) + datagramsOf(pair.server) - sent).toBeLessThanOrEqual(2);
    expect(pair.client.connection.nextTimeoutMs).toBeUndefined();
    expect(pair.server.connection.nextTimeoutMs).toBeUndefined();
  });

  test('gets through a path that carries no large datagrams', () => {
    const pair = new Pair((datagram) => (datagram.length > 560 ? [] : [10])).start();
    pair.run(() => pair.isConnected);
    expect(pair.isConnected).toBe(true);
    expect(pair.nowMs).toBeLessThan(1_000 + 1_000);
  });

  test('costs little time at 30 % loss', () => {
    const random = seededRandom(7);
    const times = Array.from({ length: 200 }, () => {
      const pair = new Pair(() => (random() < 0.3 ? [] : [30])).connect();
      return pair.nowMs - 1_000;
    }).sort((a, b) => a - b);
    expect(times).toHaveLength(200);
    // Without loss it takes 120 ms. On a clock of the test's own, this is no measurement of speed.
    expect(times[100]).toBeLessThan(600);
    expect(times[190]).toBeLessThan(2_500);
  });
});
