import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DtlsFlights } from '../../src/transport/dtls-flights.js';

const handshake = 22;
const applicationData = 23;

function record(type: number, { epoch = 0, sequence = 0, body = 'body' } = {}): Buffer {
  const header = Buffer.alloc(13);
  header[0] = type;
  header.writeUInt16BE(0xfefd, 1);
  header.writeUInt16BE(epoch, 3);
  header.writeUIntBE(sequence, 5, 6);
  header.writeUInt16BE(body.length, 11);
  return Buffer.concat([header, Buffer.from(body)]);
}

const bodyOf = (packet: Buffer) => packet.subarray(13).toString();
const sequenceOf = (packet: Buffer) => packet.readUIntBE(5, 6);

function start({ hasPath = true } = {}) {
  const way = { hasPath, sent: [] as Buffer[] };
  const flights = new DtlsFlights((packet) => {
    if (way.hasPath) way.sent.push(packet);
    return way.hasPath;
  });
  const bodies = () => way.sent.splice(0).map(bodyOf);
  /** What is sent until then, and when. */
  const run = (fromMs: number, untilMs: number) => {
    const at: number[] = [];
    for (let nowMs = fromMs; nowMs <= untilMs; nowMs += 5) {
      const before = way.sent.length;
      flights.tick(nowMs);
      if (way.sent.length > before) at.push(nowMs);
    }
    return at;
  };
  return { flights, way, bodies, run };
}

describe('DtlsFlights', () => {
  test('a flight that is not answered is sent again, whole, less and less often, and for ever', () => {
    const { flights, bodies, run } = start();
    flights.outgoing(record(handshake, { body: 'hello' }), 0, undefined);
    flights.outgoing(record(handshake, { body: 'key' }), 0, undefined);
    expect(bodies()).toEqual(['hello', 'key']);
    expect(run(5, 500)).toEqual([100, 250, 475]);
    expect(bodies()).toEqual(['hello', 'key', 'hello', 'key', 'hello', 'key']);
    const late = run(10_000, 14_000);
    expect(late.length).toBeGreaterThanOrEqual(3);
    expect(late.length).toBeLessThanOrEqual(5);
  });

  test('a long way is given the time to answer', () => {
    const { flights, run } = start();
    flights.outgoing(record(handshake), 0, 600);
    expect(run(5, 895)).toEqual([]);
    expect(run(900, 900)).toEqual([900]);
  });

  test('the next flight takes the place of the one before it', () => {
    const { flights, bodies, run } = start();
    flights.outgoing(record(handshake, { body: 'first' }), 0, undefined);
    flights.incoming(record(handshake));
    flights.outgoing(record(handshake, { body: 'second' }), 10, undefined);
    bodies();
    run(15, 115);
    expect(bodies()).toEqual(['second']);
  });

  test('part of an answer does not end it', () => {
    const { flights, bodies, run } = start();
    flights.outgoing(record(handshake, { body: 'first' }), 0, undefined);
    flights.incoming(record(handshake));
    bodies();
    expect(run(5, 100)).toEqual([100]);
    expect(bodies()).toEqual(['first']);
  });

  test('what is said before there is a path is sent when there is one', () => {
    const { flights, way, bodies, run } = start({ hasPath: false });
    flights.outgoing(record(handshake, { body: 'hello' }), 0, undefined);
    run(5, 3_000);
    way.hasPath = true;
    flights.pathFound(3_001, 20);
    expect(bodies()).toEqual(['hello']);
    flights.pathFound(3_002, 20);
    expect(bodies()).toEqual([]);
    expect(run(3_005, 3_105)).toEqual([3_105]);
  });

  test('what SCTP begins with is sent again until it is answered, for a few seconds', () => {
    const { flights, bodies, run } = start();
    flights.outgoing(record(handshake, { body: 'finished', epoch: 1 }), 0, undefined);
    flights.outgoing(record(applicationData, { body: 'init', epoch: 1 }), 1, undefined);
    bodies();
    run(5, 105);
    expect(bodies()).toEqual(['finished', 'init']);
    flights.incoming(record(applicationData, { epoch: 1 }));
    expect(run(110, 5_000)).toEqual([]);
    flights.outgoing(record(applicationData, { body: 'audio of a later day', epoch: 1 }), 6_000, undefined);
    bodies();
    expect(run(6_005, 9_000)).toEqual([]);
  });

  test('no record of a handshake has the number of another, and nothing else is changed', () => {
    const anyRecord = fc.record({
      type: fc.constantFrom(20, 21, handshake, applicationData),
      epoch: fc.constantFrom(0, 1),
      body: fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/[^a-z]/g, 'x')),
    });
    const anyPacket = fc.array(anyRecord, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(fc.tuple(anyPacket, fc.nat({ max: 400 })), { maxLength: 12 }), (packets) => {
        const { flights, way } = start();
        let nowMs = 0;
        for (const [records, waitMs] of packets) {
          const packet = Buffer.concat(records.map(({ type, epoch, body }) => record(type, { epoch, body })));
          const copy = Buffer.from(packet);
          flights.outgoing(packet, nowMs, undefined);
          expect(packet).toEqual(copy);
          for (const untilMs = nowMs + waitMs; nowMs < untilMs; nowMs += 20) flights.tick(nowMs);
        }
        const numbers: number[] = [];
        for (const packet of way.sent) {
          for (let at = 0; at < packet.length; at += 13 + packet.readUInt16BE(at + 11)) {
            const one = packet.subarray(at, at + 13 + packet.readUInt16BE(at + 11));
            if (one.readUInt16BE(3) === 0) numbers.push(sequenceOf(one));
            else expect(sequenceOf(one)).toBe(0);
          }
        }
        expect(new Set(numbers).size).toBe(numbers.length);
      }),
    );
  });

  test('what is cut short or no record is passed on as it is', () => {
    const { flights, way } = start();
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (bytes) => {
        way.sent.length = 0;
        const packet = Buffer.from(bytes);
        packet[0] = handshake;
        flights.outgoing(packet, 0, undefined);
        expect(way.sent[0]?.length).toBe(packet.length);
        flights.incoming(packet);
      }),
    );
  });
});
