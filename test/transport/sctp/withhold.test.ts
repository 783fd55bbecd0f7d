import { expect, test } from 'vitest';
import { connectedPair } from './association-pair.js';

const windowBytes = 262_144;
const messageBytes = 16_384;

test('a peer whose messages are not dealt with slows down and stops, and goes on when they are', () => {
  const { link, one, other } = connectedPair({}, { windowBytes });
  const count = 100;
  for (let i = 0; i < count; i++) {
    one.association.send(1, 53, Buffer.alloc(messageBytes, i), { ordered: true }, link.nowMs);
  }
  let withheldBytes = 0;
  other.onMessage = ({ bytes }) => {
    withheldBytes += bytes.length;
    other.association.withhold(withheldBytes, link.nowMs);
  };
  link.run(5_000);
  const taken = other.received.length;
  // The window, and what was on its way or probes whether there is room again.
  expect(taken * messageBytes).toBeGreaterThan(windowBytes / 2);
  expect(taken * messageBytes).toBeLessThan(2 * windowBytes);
  link.run(90_000);
  expect(one.closed, 'a peer that waits for room is not given up').toBeUndefined();
  expect(other.received).toHaveLength(taken);

  other.onMessage = () => {};
  const sinceMs = link.nowMs;
  other.association.withhold(0, link.nowMs);
  link.runUntil(() => other.received.length === count);
  expect(link.nowMs - sinceMs).toBeLessThan(5_000);
  expect(other.received.map(({ bytes }) => bytes[0])).toEqual(Array.from({ length: count }, (_, i) => i));
});
