import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { generateCertificate } from '../../../src/transport/certificate.js';
import { Pair, type Side } from './pair.js';
import { handshakeRecord, isProtected, piece, plainRecord, recordsOf } from './records.js';

const fatal = (description: number) => plainRecord(21, Buffer.of(2, description));
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));

/** Anything that has the form of a record, of a handshake message, or of neither. */
const garbage: fc.Arbitrary<Buffer> = fc.oneof(
  bytes(200),
  fc
    .tuple(fc.integer({ min: 19, max: 24 }), bytes(100), fc.nat(0xffff_ffff), fc.integer({ min: 0, max: 3 }))
    .map(([type, content, sequence, epoch]) => plainRecord(type, content, sequence, epoch)),
  fc
    .tuple(fc.nat(25), fc.nat(8), bytes(100), fc.nat(20_000), fc.nat(20_000))
    .map(([type, sequence, body, length, offset]) =>
      plainRecord(22, piece(type, sequence, body, { length, offset })),
    ),
);

const works = (pair: Pair): void => {
  pair.client.connection.send(Buffer.from('ping'));
  pair.server.connection.send(Buffer.from('pong'));
  pair.run(() => false);
  expect(pair.server.data).toContain('ping');
  expect(pair.client.data).toContain('pong');
  expect([...pair.client.closed, ...pair.server.closed]).toEqual([]);
};

function arrayBufferBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().arrayBuffers;
}

/** Beginnings of messages of all numbers, pieces with gaps between them, and records of the next epoch. */
function flood({ connection }: Side, nowMs: number): void {
  const body = Buffer.of(1);
  for (let sequence = 0; sequence < 200; sequence++) {
    for (const length of [16_384, 16_000, 0xff_ffff]) {
      connection.handleDatagram(plainRecord(22, piece(11, sequence, body, { length, offset: 100 })), nowMs);
    }
  }
  for (let offset = 0; offset < 1_000; offset += 2) {
    connection.handleDatagram(plainRecord(22, piece(1, 0, body, { length: 16_384, offset })), nowMs);
  }
  for (let index = 0; index < 200; index++) {
    connection.handleDatagram(plainRecord(23, Buffer.alloc(1_000), index, 1), nowMs);
  }
}

describe('somebody else on the path of a DTLS connection', () => {
  test('does not break a handshake by garbage in front of each datagram', () => {
    fc.assert(
      fc.property(fc.array(garbage, { minLength: 1, maxLength: 20 }), (packets) => {
        let index = 0;
        const pair = new Pair();
        pair.setLink((_datagram, from) => {
          const to = from === 'client' ? pair.server : pair.client;
          pair.inject(to, packets[index++ % packets.length]!);
          return [10];
        });
        pair.connect();
        expect(pair.isConnected).toBe(true);
        works(pair);
      }),
      { numRuns: 100 },
    );
  });

  test('does not break a connection by garbage, nor make it say anything', () => {
    const pair = new Pair().connect();
    fc.assert(
      fc.property(garbage, (packet) => {
        const sent = [pair.client.sent.length, pair.server.sent.length];
        pair.inject(pair.client, packet);
        pair.inject(pair.server, packet);
        expect([pair.client.sent.length, pair.server.sent.length]).toEqual(sent);
      }),
      { numRuns: 1_000 },
    );
    works(pair);
  });

  test('does not break a connection with damaged copies of its own packets', () => {
    const pair = new Pair().connect();
    pair.setLink(() => []);
    pair.client.connection.send(Buffer.from('secret'));
    const genuine = pair.client.sent.at(-1)!;
    for (let at = 0; at < genuine.length; at++) {
      for (const bit of [0x01, 0x80]) {
        const damaged = Buffer.from(genuine);
        damaged[at]! ^= bit;
        pair.inject(pair.server, damaged);
      }
      pair.inject(pair.server, genuine.subarray(0, at));
    }
    expect(pair.server.data).toEqual([]);
    expect(pair.server.connection.droppedRecords).toBeGreaterThan(genuine.length);
    pair.inject(pair.server, genuine);
    expect(pair.server.data).toEqual(['secret']);
  });

  test('is not heard when it sends a packet again', () => {
    const pair = new Pair().connect();
    pair.setLink(() => []);
    for (let index = 0; index < 2_000; index++) pair.client.connection.send(Buffer.from(String(index)));
    const packets = pair.client.sent.slice(-2_000);
    // The order in which they come does not matter, as long as none is older than the window.
    const inDisorder = packets.flatMap((packet, index) => (index % 2 ? [packet, packets[index - 1]!] : []));
    for (const packet of [...inDisorder, ...inDisorder]) pair.inject(pair.server, packet);
    expect(pair.server.data).toHaveLength(2_000);
    expect(new Set(pair.server.data).size).toBe(2_000);
  });

  test.each([0, 40, 42, 80])('does not end a handshake with the plaintext alert %i', (description) => {
    const pair = new Pair().start();
    pair.inject(pair.client, fatal(description));
    pair.inject(pair.server, fatal(description));
    pair.run(() => pair.isConnected);
    works(pair);
    // Nor the connection.
    pair.inject(pair.client, fatal(description));
    pair.inject(pair.server, fatal(description));
    pair.run(() => false);
    works(pair);
  });

  test('does not end a handshake with a hello or a certificate of its own', () => {
    const stranger = new Pair().start();
    stranger.run(() => false, 25);
    const [hello] = recordsOf(stranger.server.sent[0]!);
    const certificate = recordsOf(stranger.server.sent[0]!)[1]!;
    const pair = new Pair(() => [100]).start();
    // It overtakes the genuine flight, which the server sends again later.
    pair.run(() => pair.server.sent.length > 0);
    pair.inject(pair.client, certificate);
    pair.run(() => pair.isConnected);
    works(pair);
    expect(hello!.subarray(13)[0]).toBe(2);
  });

  test('cannot make it keep more than a bounded amount of handshake', () => {
    const pairs = Array.from({ length: 20 }, () => new Pair(() => []).start());
    const before = arrayBufferBytes();
    for (const { server, nowMs } of pairs) flood(server, nowMs);
    // About 100 KB of handshake and early records; without bounds it would be 3 MB.
    expect((arrayBufferBytes() - before) / pairs.length).toBeLessThan(300_000);
    const [pair] = pairs;
    pair!.setLink(() => [10]);
    pair!.run(() => pair!.isConnected);
    works(pair!);
  });

  test('gets no more than one flight for each of its ClientHellos, and few for many', () => {
    const pair = new Pair().start();
    pair.run(() => pair.server.sent.length > 0);
    pair.setLink(() => []);
    const before = pair.server.sent.length;
    for (let index = 0; index < 1_000; index++) {
      pair.inject(pair.server, pair.client.sent[0]!);
      pair.nowMs += 0.1;
    }
    expect(pair.server.sent.length - before).toBeLessThanOrEqual(4);
  });
});

describe('a DTLS peer', () => {
  const failure = (side: Side) => side.closed[0]!;

  test.each(['client', 'server'] as const)(
    'with the certificate of somebody else is refused by the %s',
    (role) => {
      const remoteFingerprints = [generateCertificate('somebody else').fingerprint];
      const pair = new Pair(undefined, { [role]: { remoteFingerprints } }).start();
      pair.run(() => pair[role].closed.length > 0);
      expect(failure(pair[role]).toLine()).toContain(
        "the peer's certificate is not the one in its description",
      );
      expect(pair[role].connected).toEqual([]);
      pair.run(() => false);
      const other = pair[role === 'client' ? 'server' : 'client'];
      expect(failure(other).message).toContain('badCertificate');
    },
  );

  test.each(['client', 'server'] as const)(
    'is announced by the %s no sooner than its fingerprint is known, and what it sent then is not lost',
    (role) => {
      const pair = new Pair(undefined, { [role]: { remoteFingerprints: undefined } }).start();
      const own = pair[role];
      const other = pair[role === 'client' ? 'server' : 'client'];
      pair.run(() => other.connected.length > 0);
      other.connection.send(Buffer.from('early'));
      pair.run(() => false, 5_000);
      expect(own.connected).toEqual([]);
      expect(own.data).toEqual([]);
      expect(own.connection.send(Buffer.from('too soon'))).toBe(false);
      expect(own.connection.exportKeyingMaterial('x', 8)).toBeUndefined();
      own.connection.setRemoteFingerprints([other.certificate.fingerprint], pair.nowMs);
      expect(own.connected).toHaveLength(1);
      expect(own.data).toEqual(['early']);
      works(pair);
    },
  );

  test.each(['client', 'server'] as const)(
    'whose fingerprint turns out to be another is refused by the %s',
    (role) => {
      const pair = new Pair(undefined, { [role]: { remoteFingerprints: undefined } }).start();
      pair.run(() => false, 5_000);
      pair[role].connection.setRemoteFingerprints([generateCertificate('x').fingerprint], pair.nowMs);
      expect(failure(pair[role]).message).toContain('certificate');
      expect(pair[role].connected).toEqual([]);
    },
  );

  test('may have several fingerprints, in either case of letters; those of broken hashes do not count', () => {
    const pair = new Pair();
    const [algorithm, digest] = pair.server.certificate.fingerprint.split(' ');
    const sha1 = generateCertificate('x').fingerprint.replace('sha-256', 'sha-1');
    pair.client.connection.setRemoteFingerprints(
      [sha1, `${algorithm!.toUpperCase()} ${digest!.toLowerCase()}`],
      pair.nowMs,
    );
    works(pair.connect());
  });

  test('that says nothing makes the handshake fail in time', () => {
    const pair = new Pair(() => [], { client: { handshakeTimeoutMs: 8_000 } }).start();
    pair.run(() => false);
    expect(failure(pair.client)).toMatchObject({ code: 'OFFHOOK_DEADLINE', stage: 'dtls', elapsedMs: 8_000 });
    expect(pair.client.connection.nextTimeoutMs).toBeUndefined();
  });

  test('that sends nonsense makes it fail in time, and the error says what was wrong', () => {
    const pair = new Pair(() => []).start();
    pair.inject(pair.server, handshakeRecord(1, 0, Buffer.alloc(20)));
    pair.run(() => false);
    expect(failure(pair.server).cause).toMatchObject({ message: "the peer's ClientHello is malformed" });
  });

  test('that ends the handshake with an alert is believed after a second of silence', () => {
    const pair = new Pair(() => []).start();
    pair.inject(pair.client, fatal(40));
    pair.run(() => pair.client.closed.length > 0);
    expect(pair.nowMs).toBe(2_000);
    expect(failure(pair.client).message).toContain('handshakeFailure');
  });

  test('that closes is heard once, and nothing is sent or reported afterwards', () => {
    const pair = new Pair().connect();
    pair.client.connection.close();
    pair.run(() => false);
    expect(pair.server.closed).toEqual([undefined]);
    expect(pair.client.closed).toEqual([]);
    expect(pair.client.connection.send(Buffer.from('x'))).toBe(false);
    const sent = pair.server.sent.length;
    for (const datagram of pair.client.sent) pair.inject(pair.server, datagram);
    expect(pair.server.sent).toHaveLength(sent);
    expect(pair.server.closed).toHaveLength(1);
  });

  test('whose first data overtakes its Finished is heard once it is verified', () => {
    const held: Buffer[] = [];
    const pair = new Pair((datagram, from) => {
      if (from === 'server' && recordsOf(datagram).some(isProtected) && datagram[0] !== 23) {
        held.push(datagram);
        return [];
      }
      return [10];
    }).start();
    pair.run(() => pair.server.connected.length > 0);
    pair.server.connection.send(Buffer.from('overtaking'));
    pair.run(() => false, 50);
    expect(pair.client.data).toEqual([]);
    pair.inject(pair.client, held[0]!);
    expect(pair.client.connected).toHaveLength(1);
    expect(pair.client.data).toEqual(['overtaking']);
  });
});
