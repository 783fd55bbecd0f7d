import { expect, test } from 'vitest';
import type { IcePath } from '../../../src/transport/ice/ice-agent.js';
import { serializeStun, stunMethod } from '../../../src/transport/ice/stun.js';
import { UdpLink } from '../../../src/transport/ice/udp-link.js';

const stun = serializeStun({
  class: 'request',
  method: stunMethod.binding,
  transactionId: Buffer.alloc(12),
  attributes: [],
});
const dtls = Buffer.alloc(60, 22);

/** A link whose listener accepts packets while `accepts` says so, and the paths over which it got any. */
function openLink() {
  const seen: IcePath[] = [];
  const state = { accepts: false };
  const link = new UdpLink({
    port: 1,
    local: undefined,
    onPacket: (path) => {
      seen.push(path);
      return state.accepts;
    },
    send: () => {},
    onClose: () => {},
  });
  return { link, seen, state };
}

test('of an address whose packets are not accepted nothing is kept', () => {
  const { link, seen, state } = openLink();
  for (let i = 0; i < 2; i++) expect(link.receive(stun, '192.0.2.1', 7)).toBeUndefined();
  expect(seen).toHaveLength(2);
  expect(seen[0]).not.toBe(seen[1]);
  state.accepts = true;
  for (let i = 0; i < 2; i++) link.receive(stun, '192.0.2.1', 7);
  expect(seen[2]).toBe(seen[3]);
});

test('what is no STUN is taken from addresses that were accepted, and from no others', () => {
  const { link, seen, state } = openLink();
  state.accepts = true;
  link.receive(dtls, '192.0.2.1', 7);
  expect(seen).toEqual([]);
  link.receive(stun, '192.0.2.1', 7);
  link.receive(dtls, '192.0.2.1', 7);
  link.receive(dtls, '192.0.2.1', 8);
  link.receive(dtls, '192.0.2.2', 7);
  expect(seen.map(({ remote }) => remote)).toEqual([
    { address: '192.0.2.1', port: 7 },
    { address: '192.0.2.1', port: 7 },
  ]);
});
