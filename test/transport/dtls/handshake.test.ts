import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Pair } from './pair.js';

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
    // The packets' fates repeat; none repeats for so long that nothing ever gets through.
    const fate = fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 5, arbitrary: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 3 }) },
    );
    fc.assert(
      fc.property(
        fc
          .array(fate, { minLength: 5, maxLength: 40 })
          .filter((fates) => fates.some((copies) => copies.length > 0)),
        fc.integer({ min: 200, max: 1_400 }),
        fc.integer({ min: 200, max: 1_400 }),
        (fates, clientMtu, serverMtu) => {
          let index = 0;
          const pair = new Pair(
            // One in 11 gets through whatever the fates are, so that no cycle of them starves one side for ever.
            () => {
              const fate = index % 11 === 10 ? [5] : fates[index % fates.length]!;
              index++;
              return fate;
            },
            {
              client: { mtuBytes: clientMtu, handshakeTimeoutMs: 600_000 },
              server: { mtuBytes: serverMtu, handshakeTimeoutMs: 600_000 },
            },
          );
          pair.start().run(() => pair.isConnected, 600_000);
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
        },
      ),
      { numRuns: 150 },
    );
  });
});
