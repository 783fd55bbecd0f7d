import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatUri, type SipRequest } from '../../src/sip/message/index.js';
import { CallHouse, sdp } from './call-house.js';
import type { RawPeer } from './raw-peer.js';
import { until } from './until.js';

let house: CallHouse;
/** A proxy on the way whose address is not the one that the peer is heard from. */
let proxy: RawPeer;
beforeEach(async () => {
  house = await CallHouse.open();
  proxy = await house.anotherPeer();
});
afterEach(() => house.close());

/** What a request says about its way: its URI, then its routes. */
const way = ({ uri, headers }: SipRequest) => [formatUri(uri), ...headers.getAll('Route')];
const came = async (peer: RawPeer, method: string): Promise<SipRequest> => {
  const find = () => peer.requests.find((request) => request.method === method);
  await until(() => find() !== undefined, `${method} has come`);
  return find()!;
};
const heard = () => `<sip:127.0.0.1:${house.peer.port};lr>`;
const other = () => `<sip:127.0.0.1:${proxy.port};lr>`;
const far = '<sip:far.example;lr>';
const strict = () => `<sip:strict@127.0.0.1:${proxy.port}>`;
const contact = (user: string) => `sip:${user}@127.0.0.1:${house.peer.port}`;

describe('a call that comes in through proxies', () => {
  const recorded = (...routes: string[]) => routes.map((route) => `Record-Route: ${route}`);

  test.each<[string, () => string[], 'heard' | 'other', () => string[]]>([
    ['one that was heard', () => [heard()], 'heard', () => [contact('peer'), heard()]],
    [
      'several, in the order in which they are written',
      () => [heard(), far],
      'heard',
      () => [contact('peer'), heard(), far],
    ],
    ['another one than was heard', () => [other(), far], 'other', () => [contact('peer'), other(), far]],
    ['one that is known by its name', () => [far], 'heard', () => [contact('peer'), far]],
    [
      'a strict router',
      () => [strict(), far],
      'other',
      () => [`sip:strict@127.0.0.1:${proxy.port}`, far, `<${contact('peer')}>`],
    ],
  ])('goes back through %s', async (_which, routes, where, expected) => {
    const { session } = await house.takeCall(recorded(...routes()));
    const answers = house.peer.responses('call').filter(({ status }) => status > 100);
    for (const { headers } of answers) expect(headers.getAll('Record-Route')).toEqual(routes());
    session.bye();
    const bye = await came(where === 'heard' ? house.peer : proxy, 'BYE');
    expect(way(bye)).toEqual(expected());
    expect((where === 'heard' ? proxy : house.peer).requests).toEqual([]);
  });

  test('in one header as in several', async () => {
    const { session } = await house.takeCall([`Record-Route: ${heard()}, ${far}`]);
    session.bye();
    expect(way(await came(house.peer, 'BYE'))).toEqual([contact('peer'), heard(), far]);
  });

  test('keeps its route, whatever a later request records, and takes its new Contact', async () => {
    const { session } = await house.takeCall(recorded(heard()));
    session.onOffer = () => ({ answer: sdp });
    const moved = house
      .fromPeer('INVITE', 2, house.tag, recorded(other()), sdp.toString())
      .replace(`Contact: <sip:peer@127.0.0.1:${house.peer.port}>`, 'Contact: <sip:moved@127.0.0.1:4999>');
    house.peer.send(moved);
    await until(
      () => house.peer.responses('call').some(({ cseq, status }) => cseq.sequence === 2 && status === 200),
      'the offer is answered',
    );
    house.peer.send(house.fromPeer('ACK', 2));
    session.bye();
    expect(way(await came(house.peer, 'BYE'))).toEqual(['sip:moved@127.0.0.1:4999', heard()]);
  });

  test('takes a request that a strict router has sent to us, with our own route in it', async () => {
    const { ended } = await house.takeCall(recorded(strict()));
    const ours = `sip:offhook@127.0.0.1:${house.endpoint.port}`;
    const bye = house
      .fromPeer('BYE', 2, house.tag, [`Route: <${ours}>`])
      .replace('BYE sip:1@127.0.0.1', `BYE ${ours}`);
    house.peer.send(bye);
    expect((await house.peer.final('call', 'BYE')).status).toBe(200);
    expect(ended()).toBe('the peer hung up');
  });

  test('without any goes back to where it was heard, and to where the peer has moved', async () => {
    const { session } = await house.takeCall();
    session.onOffer = () => ({ answer: sdp });
    session.info('text/plain', Buffer.from('before'));
    await came(house.peer, 'INFO');
    // Behind a NAT that has given it another port.
    proxy.send(house.fromPeer('INVITE', 2, house.tag, [], sdp.toString()));
    await until(() => proxy.responses('call').some(({ status }) => status === 200), 'the offer is answered');
    proxy.send(house.fromPeer('ACK', 2));
    session.bye();
    expect(way(await came(proxy, 'BYE'))).toEqual([contact('peer')]);
    expect(house.sent('BYE')).toEqual([]);
  });
});

describe('a call that goes out through proxies', () => {
  const dialled = async (recordRoute: string | undefined, early?: string) => {
    const { outcome } = house.dial();
    await came(house.peer, 'INVITE');
    if (early !== undefined) {
      house.answer(180, 'a', { 'Record-Route': early, Require: '100rel', RSeq: '1' });
      await until(() => outcome.rings === 1, 'it rings');
    }
    house.answer(200, 'a', recordRoute === undefined ? {} : { 'Record-Route': recordRoute });
    await until(() => outcome.session !== undefined, 'the call is answered');
    return outcome.session!;
  };

  test.each<[string, () => string, 'heard' | 'other', () => string[]]>([
    ['one that was heard', heard, 'heard', () => [contact('a'), heard()]],
    ['several, the nearest first', () => `${far}, ${heard()}`, 'heard', () => [contact('a'), heard(), far]],
    ['another one than was heard', () => `${far}, ${other()}`, 'other', () => [contact('a'), other(), far]],
    [
      'a strict router',
      () => `${far}, ${strict()}`,
      'other',
      () => [`sip:strict@127.0.0.1:${proxy.port}`, far, `<${contact('a')}>`],
    ],
  ])('goes on through %s', async (_which, recordRoute, where, expected) => {
    const session = await dialled(recordRoute());
    const peer = where === 'heard' ? house.peer : proxy;
    expect(way(await came(peer, 'ACK'))).toEqual(expected());
    session.bye();
    expect(way(await came(peer, 'BYE'))).toEqual(expected());
    expect(peer.methods.slice(-2)).toEqual(['ACK', 'BYE']);
    expect(house.peer.requests.map(({ method }) => method)).toEqual(
      where === 'heard' ? ['INVITE', 'ACK', 'BYE'] : ['INVITE'],
    );
  });

  test('takes the route of the answer in place of the one before it', async () => {
    const session = await dialled(`${far}, ${heard()}`, `${far}, ${other()}`);
    expect(way(await came(proxy, 'PRACK'))).toEqual([contact('a'), other(), far]);
    expect(way(await came(house.peer, 'ACK'))).toEqual([contact('a'), heard(), far]);
    session.bye();
    expect(way(await came(house.peer, 'BYE'))).toEqual([contact('a'), heard(), far]);
  });

  test('acknowledges and hangs up on a branch that was too late by its own route', async () => {
    await dialled(undefined);
    house.answer(200, 'b', { 'Record-Route': other() });
    expect(way(await came(proxy, 'ACK'))).toEqual([contact('b'), other()]);
    expect(way(await came(proxy, 'BYE'))).toEqual([contact('b'), other()]);
    expect(house.sent('BYE')).toEqual([]);
  });

  test('acknowledges a refusal by the way of its INVITE', async () => {
    const { outcome } = house.dial();
    await came(house.peer, 'INVITE');
    house.answer(486, 'a', { 'Record-Route': other() });
    await until(() => outcome.failed === 486, 'it is refused');
    const ack = await came(house.peer, 'ACK');
    const invite = house.sent('INVITE')[0]!;
    expect(ack.vias).toEqual(invite.vias);
    expect(way(ack)).toEqual(way(invite));
    expect(proxy.requests).toEqual([]);
  });
});
