import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TransferProgress } from '../../src/sip/call/index.js';
import { acceptInterval } from '../../src/sip/call/session-timer.js';
import { Headers, parseUri, type SipRequest } from '../../src/sip/message/index.js';
import { CallHouse, sdp } from './call-house.js';
import { until } from './until.js';

let house: CallHouse;
beforeEach(async () => {
  house = await CallHouse.open();
});
afterEach(() => house.close());

const sent = (method: string) => house.sent(method);

describe('a call that goes out', () => {
  test('and is answered by two branches of a fork goes on with the first, and hangs up on the other', async () => {
    const { outcome } = house.dial();
    await until(() => sent('INVITE').length > 0, 'the INVITE has come');
    for (const tag of ['a', 'b', 'c']) house.answer(180, tag);
    await until(() => outcome.rings === 3, 'three telephones ring');
    expect(house.endpoint.dialogCount).toBe(3);
    house.answer(200, 'a');
    await until(() => outcome.session !== undefined, 'the call is answered');
    house.answer(200, 'b');
    await until(() => sent('BYE').length > 0, 'the other branch is hung up on');
    const tags = (method: string) => [...new Set(sent(method).map(({ to }) => to.params.get('tag')))];
    expect([tags('ACK'), tags('BYE')]).toEqual([['a', 'b'], ['b']]);
    expect(house.endpoint.dialogCount).toBe(1);
    expect(outcome.session?.isEnded).toBe(false);
  });

  test('acknowledges the answers of both branches of a fork again when they are repeated', async () => {
    const { outcome } = house.dial();
    await until(() => sent('INVITE').length > 0, 'the INVITE has come');
    house.answer(200, 'a');
    await until(() => outcome.session !== undefined, 'the call is answered');
    house.answer(200, 'b');
    await until(() => sent('BYE').length > 0, 'the other branch is hung up on');
    house.answer(200, 'b');
    house.answer(200, 'a');
    const acks = (tag: string) => sent('ACK').filter(({ to }) => to.params.get('tag') === tag);
    await until(() => acks('a').length === 2 && acks('b').length === 2, 'both are acknowledged again');
    const { sequence } = sent('INVITE')[0]!.cseq;
    expect(new Set(sent('ACK').map(({ cseq }) => cseq.sequence))).toEqual(new Set([sequence]));
    expect(sent('BYE').some(({ to }) => to.params.get('tag') === 'a')).toBe(false);
    expect(house.endpoint.dialogCount).toBe(1);
  });

  test('follows sixteen branches that ring, and takes the answer of another one', async () => {
    const { outcome } = house.dial();
    await until(() => sent('INVITE').length > 0, 'the INVITE has come');
    for (let i = 1; i <= 20; i++) house.answer(180, `branch${i}`);
    await until(() => outcome.rings === 20, 'twenty telephones ring');
    expect(house.endpoint.dialogCount).toBe(16);
    house.answer(200, 'branch20');
    await until(() => outcome.session !== undefined, 'the call is answered');
    expect(house.endpoint.dialogCount).toBe(1);
    house.answer(200, 'branch19');
    await until(() => sent('BYE').length > 0, 'the other branch is hung up on');
    expect(sent('BYE')[0]!.to.params.get('tag')).toBe('branch19');
  });

  test.each<[string, [tag: string, sequence: number][], string[]]>([
    [
      'in their order',
      [
        ['a', 7],
        ['a', 8],
      ],
      ['a 7', 'a 8'],
    ],
    [
      'once, however often they are repeated',
      [
        ['a', 7],
        ['a', 7],
        ['a', 8],
        ['a', 7],
      ],
      ['a 7', 'a 8'],
    ],
    [
      'not before the one before it',
      [
        ['a', 7],
        ['a', 9],
        ['a', 8],
        ['a', 9],
      ],
      ['a 7', 'a 8', 'a 9'],
    ],
    [
      'of each branch by itself',
      [
        ['a', 7],
        ['b', 3],
        ['a', 8],
        ['b', 4],
      ],
      ['a 7', 'b 3', 'a 8', 'b 4'],
    ],
    [
      'not without a number',
      [
        ['a', 0],
        ['a', 1],
      ],
      ['a 1'],
    ],
  ])(
    'acknowledges what the peer wants acknowledged before the answer %s',
    async (_how, responses, pracks) => {
      const { outcome } = house.dial();
      await until(() => sent('INVITE').length > 0, 'the INVITE has come');
      for (const [i, [tag, sequence]] of responses.entries()) {
        house.answer(180, tag, { Require: '100rel', RSeq: String(sequence) });
        await until(() => outcome.rings === i + 1, 'the response has come');
      }
      house.answer(200, 'a');
      await until(() => sent('ACK').length > 0, 'the answer is acknowledged');
      const said = sent('PRACK').map(({ to, headers }) => `${to.params.get('tag')} ${headers.get('RAck')}`);
      const { sequence } = sent('INVITE')[0]!.cseq;
      expect([...new Set(said)]).toEqual(pracks.map((prack) => `${prack} ${sequence} INVITE`));
    },
  );

  test('acknowledges what the peer wants acknowledged while it rings, once', async () => {
    const { outcome } = house.dial();
    await until(() => sent('INVITE').length > 0, 'the INVITE has come');
    for (let i = 0; i < 3; i++) house.answer(180, 'a', { Require: '100rel', RSeq: '7' });
    await until(() => sent('PRACK').length > 0 && outcome.rings === 3, 'the PRACK has come');
    const [prack] = sent('PRACK');
    const { sequence } = sent('INVITE')[0]!.cseq;
    expect(prack!.headers.get('RAck')).toBe(`7 ${sequence} INVITE`);
    expect(house.peer.methods).toEqual(['INVITE', 'PRACK']);
  });

  test('is cancelled once the peer has said that it knows of it, and an answer that crosses is hung up on', async () => {
    const { call, outcome } = house.dial();
    await until(() => sent('INVITE').length > 0, 'the INVITE has come');
    call.cancel();
    expect(outcome.failed).toBe(487);
    house.answer(180, 'a');
    await until(() => sent('CANCEL').length > 0, 'the CANCEL has come');
    house.answer(180, 'a');
    house.answer(200, 'a');
    await until(() => sent('BYE').length > 0, 'the answer is hung up on');
    expect(house.peer.methods).toEqual(['INVITE', 'CANCEL', 'ACK', 'BYE']);
    expect(sent('CANCEL')).toHaveLength(1);
    expect(house.endpoint.dialogCount).toBe(0);
  });

  test('and wants to be refreshed too often asks again for what the peer says', async () => {
    const { outcome } = house.dial();
    await until(() => sent('INVITE').length > 0, 'the INVITE has come');
    const [first] = sent('INVITE');
    house.answer(422, 'a', { 'Min-SE': '7200' });
    const second = () => sent('INVITE').find(({ cseq }) => cseq.sequence === first!.cseq.sequence + 1);
    await until(() => second() !== undefined, 'another INVITE has come');
    expect([second()!.headers.get('Session-Expires'), second()!.headers.get('Min-SE')]).toEqual([
      '7200',
      '7200',
    ]);
    house.answer(422, 'b', { 'Min-SE': '90' });
    await until(() => outcome.failed === 422, 'it gives up on a peer that asks for less');
  });
});

describe('a call that comes in, of a caller that acknowledges what comes before the answer', () => {
  const rings = () => house.peer.responses('call').filter(({ status }) => status === 180);
  const prack = (sequence: number, rack: string) => house.ask('PRACK', sequence, [`RAck: ${rack}`]);

  test('rings until that is acknowledged, by the numbers of that response alone', async () => {
    const { ended } = await house.beCalled(['Require: 100rel']);
    const [first] = rings();
    const sequence = Number(first!.headers.get('RSeq'));
    expect([first!.headers.get('Require'), sequence > 0]).toEqual(['100rel', true]);
    for (const count of [2, 3, 4]) {
      house.clock.advance(500 * 2 ** (count - 2));
      await until(() => rings().length === count, 'it rings again');
    }
    expect(new Set(rings().map(({ headers }) => headers.get('RSeq')))).toEqual(new Set([String(sequence)]));
    for (const [cseq, rack] of [
      [2, `${sequence + 1} 1 INVITE`],
      [3, `${sequence} 2 INVITE`],
      [4, `${sequence} 1 UPDATE`],
      [5, ''],
    ] as const) {
      expect((await prack(cseq, rack)).status, rack).toBe(481);
    }
    expect((await prack(6, `${sequence} 1 INVITE`)).status).toBe(200);
    house.clock.advance(40_000);
    expect((await prack(7, `${sequence} 1 INVITE`)).status).toBe(481);
    expect([rings().length, ended()]).toEqual([4, undefined]);
  });

  test('is refused when that is never acknowledged', async () => {
    const { ended } = await house.beCalled(['Require: 100rel']);
    house.clock.advance(32_000);
    expect(ended()).toBe('a provisional response was never acknowledged');
    expect((await house.peer.final('call', 'INVITE')).status).toBe(504);
    expect(house.endpoint.dialogCount).toBe(0);
  });

  test('may be answered once the description that came before the answer is acknowledged', async () => {
    const { call } = await house.beCalled(['Require: 100rel'], (incoming) => incoming.progress(sdp));
    const may: boolean[] = [call.mayAccept];
    call.onMayAccept = () => may.push(call.mayAccept);
    const [progress] = house.peer.responses('call').filter(({ status }) => status === 183);
    expect((await prack(2, `${progress!.headers.get('RSeq')} 1 INVITE`)).status).toBe(200);
    expect(may).toEqual([false, true]);
  });

  test('may be answered at once where only ringing is to be acknowledged', async () => {
    const { call } = await house.beCalled(['Require: 100rel']);
    expect(call.mayAccept).toBe(true);
    call.accept(sdp);
    expect((await house.peer.final('call', 'INVITE')).status).toBe(200);
    // The acknowledgement that was on its way.
    expect((await prack(2, `${rings()[0]!.headers.get('RSeq')} 1 INVITE`)).status).toBe(200);
  });
});

describe('the interval of a session', () => {
  // RFC 4028, section 9, with table 2: what the caller says, what we settle on.
  test.each<[Record<string, string>, ReturnType<typeof acceptInterval>]>([
    [{}, undefined],
    [{ Supported: 'timer' }, { intervalS: 1_800, refresher: 'peer' }],
    [
      { Supported: 'timer', 'Session-Expires': '120' },
      { intervalS: 120, refresher: 'peer' },
    ],
    [
      { Require: 'timer', 'Session-Expires': '120' },
      { intervalS: 120, refresher: 'peer' },
    ],
    [
      { Supported: 'timer', 'Session-Expires': '120;refresher=uac' },
      { intervalS: 120, refresher: 'peer' },
    ],
    [
      { Supported: 'timer', 'Session-Expires': '120;refresher=uas' },
      { intervalS: 120, refresher: 'us' },
    ],
    [{ 'Session-Expires': '120' }, { intervalS: 120, refresher: 'us' }],
    [{ 'Session-Expires': '120;refresher=uac' }, { intervalS: 120, refresher: 'us' }],
    [
      { Supported: 'timer', 'Min-SE': '3600' },
      { intervalS: 3_600, refresher: 'peer' },
    ],
    [
      { Supported: 'timer', 'Min-SE': '300', 'Session-Expires': '400' },
      { intervalS: 400, refresher: 'peer' },
    ],
    [
      { Supported: 'timer', 'Session-Expires': 'soon' },
      { intervalS: 1_800, refresher: 'peer' },
    ],
  ])('that a caller asks for by %j is settled as RFC 4028 says', (fields, settled) => {
    expect(acceptInterval({ headers: Headers.of(fields) } as SipRequest)).toEqual(settled);
  });
});

describe('a session timer', () => {
  const asked = ['Supported: timer', 'Session-Expires: 90;refresher=uac'];

  test('that the peer does not refresh ends the call with a BYE', async () => {
    const { ended } = await house.takeCall(asked);
    house.clock.advance(59_000);
    expect(ended()).toBeUndefined();
    house.clock.advance(2_000);
    expect(ended()).toBe('the session expired without a refresh');
    await until(() => sent('BYE').length > 0, 'the peer is hung up on');
    expect(sent('BYE')[0]!.headers.get('Reason')).toContain('Session expired');
    expect(house.endpoint.dialogCount).toBe(0);
  });

  test('that the peer refreshes by UPDATE starts again', async () => {
    const { ended } = await house.takeCall(asked);
    house.clock.advance(50_000);
    house.peer.send(house.fromPeer('UPDATE', 2, house.tag, asked));
    const { status, headers } = await house.peer.final('call', 'UPDATE');
    expect([status, headers.get('Session-Expires')]).toEqual([200, '90;refresher=uac']);
    house.clock.advance(50_000);
    expect(ended()).toBeUndefined();
    house.clock.advance(20_000);
    expect(ended()).toBe('the session expired without a refresh');
  });

  test('that is ours to refresh is refreshed by UPDATE where the peer knows it', async () => {
    const { ended } = await house.takeCall([
      'Allow: INVITE, ACK, BYE, UPDATE',
      'Supported: timer',
      'Session-Expires: 90;refresher=uas',
    ]);
    house.clock.advance(46_000);
    await until(() => sent('UPDATE').length > 0, 'the refresh has come');
    const [update] = sent('UPDATE');
    house.answerTo(update!, 200);
    await until(() => house.endpoint.transactions.size > 0, 'the answer is on its way');
    expect(update!.headers.get('Session-Expires')).toBe('90;refresher=uac');
    expect(ended()).toBeUndefined();
  });

  const ours = ['Allow: INVITE, ACK, BYE, UPDATE', 'Supported: timer', 'Session-Expires: 90;refresher=uas'];
  /** The next refresh that is not answered yet, after `advanceMs`. */
  const refreshAfter = async (advanceMs: number, method = 'UPDATE') => {
    const before = sent(method).at(-1)?.cseq.sequence ?? 0;
    house.clock.advance(advanceMs);
    const found = () => sent(method).find(({ cseq }) => cseq.sequence > before);
    await until(() => found() !== undefined, 'the refresh has come');
    return found()!;
  };
  /** Until our client has taken an answer, which leaves its transaction for 5 s of the clock. */
  const answered = async (request: SipRequest, status: number, headers: Record<string, string> = {}) => {
    const { onTrace } = house.endpoint;
    let isTaken = false;
    house.endpoint.onTrace = ({ direction, message }) => {
      if (
        direction === 'in' &&
        message.kind === 'response' &&
        message.cseq.sequence === request.cseq.sequence
      )
        isTaken = true;
    };
    house.answerTo(request, status, headers);
    await until(() => isTaken, 'the answer has come');
    house.endpoint.onTrace = onTrace;
  };

  test('that is ours is refreshed by INVITE with a description where the peer does not know UPDATE', async () => {
    const { session } = await house.takeCall(['Supported: timer', 'Session-Expires: 90;refresher=uas']);
    session.makeOffer = () => sdp;
    const refresh = await refreshAfter(46_000, 'INVITE');
    expect(refresh.body).toEqual(sdp);
    await answered(refresh, 200, { 'Session-Expires': '90;refresher=uac' });
    await until(() => sent('ACK').length === 1, 'the answer is acknowledged');
  });

  test('takes the interval and the refresher that the answer to a refresh settles on', async () => {
    const { ended } = await house.takeCall(ours);
    await answered(await refreshAfter(46_000), 200, { 'Session-Expires': '300;refresher=uac' });
    house.clock.advance(140_000);
    await answered(await refreshAfter(11_000), 200, { 'Session-Expires': '300;refresher=uas' });
    house.clock.advance(260_000);
    expect([house.peer.methods, ended()]).toEqual([['UPDATE', 'UPDATE'], undefined]);
    house.clock.advance(10_000);
    expect(ended()).toBe('the session expired without a refresh');
  });

  test('that the peer finds too short is refreshed again with what it says', async () => {
    const { ended } = await house.takeCall(ours);
    const first = await refreshAfter(46_000);
    await answered(first, 422, { 'Min-SE': '200' });
    const found = () => sent('UPDATE').find(({ cseq }) => cseq.sequence > first.cseq.sequence);
    await until(() => found() !== undefined, 'it is refreshed again');
    const second = found()!;
    expect(second.headers.get('Session-Expires')).toBe('200;refresher=uac');
    expect(second.headers.get('Min-SE')).toBe('200');
    await answered(second, 200, { 'Session-Expires': '200;refresher=uac' });
    await refreshAfter(101_000);
    expect(ended()).toBeUndefined();
  });

  test('that is ours ends the call when the peer does not know it any more', async () => {
    const { ended } = await house.takeCall(ours);
    await answered(await refreshAfter(46_000), 481);
    expect(ended()).toBe('the peer answered 481');
    expect(sent('BYE')).toEqual([]);
  });
});

describe('an offer within a call', () => {
  const held = `${sdp}a=sendonly\r\n`;

  test.each([
    ['INVITE', held, 500],
    ['UPDATE', held, 500],
    ['UPDATE', '', 200],
  ])('by %s with %j, before the call is answered, gets %i', async (method, body, status) => {
    const { session, ended } = await house.beCalled();
    session.onOffer = () => ({ answer: sdp });
    const response = await house.ask(method, 2, [], body);
    expect(response.status).toBe(status);
    const retryAfterS = response.headers.get('Retry-After');
    if (status === 500) expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).toContain(Number(retryAfterS));
    else expect(retryAfterS).toBeUndefined();
    expect([ended(), house.endpoint.dialogCount]).toEqual([undefined, 1]);
  });

  test('that comes before our answer is acknowledged is to come later', async () => {
    await house.beCalled([], (call) => call.accept(sdp));
    expect((await house.ask('INVITE', 2, [], held)).status).toBe(491);
  });

  test('that comes while ours is under way is to come later, and a refresh is taken', async () => {
    const { session } = await house.takeCall();
    session.onOffer = () => ({ answer: sdp });
    const answer = session.offer(sdp);
    await until(() => sent('INVITE').length > 0, 'our offer has come');
    expect((await house.ask('INVITE', 2, [], held)).status).toBe(491);
    expect((await house.ask('UPDATE', 3, [], held)).status).toBe(491);
    expect((await house.ask('UPDATE', 4)).status).toBe(200);
    house.answer(200, 'peer');
    expect(await answer).toEqual(sdp);
    expect((await house.ask('UPDATE', 5, [], held)).status).toBe(200);
  });

  test('that meets one of the peer’s is made again after a while', async () => {
    const { session } = await house.takeCall();
    const answer = session.offer(sdp);
    await until(() => sent('INVITE').length > 0, 'our offer has come');
    const [first] = sent('INVITE');
    house.answerTo(first!, 491);
    await until(() => sent('ACK').length > 0, 'the refusal is acknowledged');
    house.clock.advance(2_000);
    const again = () => sent('INVITE').find(({ cseq }) => cseq.sequence > first!.cseq.sequence);
    await until(() => again() !== undefined, 'our offer has come again');
    house.answer(200, 'peer');
    expect(await answer).toEqual(sdp);
  });

  test('that the peer refuses leaves the call as it was', async () => {
    const { session, ended } = await house.takeCall();
    const answer = session.offer(sdp);
    await until(() => sent('INVITE').length > 0, 'our offer has come');
    house.answerTo(sent('INVITE')[0]!, 488);
    expect(await answer).toBeUndefined();
    expect(ended()).toBeUndefined();
  });
});

test('a request that a later one has overtaken is refused, and the call goes on', async () => {
  const { ended } = await house.takeCall();
  expect((await house.ask('OPTIONS', 5)).status).toBe(200);
  expect((await house.ask('INFO', 4)).status).toBe(500);
  expect((await house.ask('BYE', 3)).status).toBe(500);
  expect(ended()).toBeUndefined();
  expect((await house.ask('BYE', 6)).status).toBe(200);
  expect(ended()).toBe('the peer hung up');
  expect((await house.ask('OPTIONS', 7)).status).toBe(481);
});

test('OPTIONS is answered with what we can do, in a call and outside of one', async () => {
  await house.takeCall();
  const inside = await house.ask('OPTIONS', 2);
  house.peer.send(house.fromPeer('OPTIONS', 3, ''));
  const outside = () => house.peer.responses('call').find(({ cseq }) => cseq.sequence === 3);
  await until(() => outside() !== undefined, 'it is answered');
  for (const { status, headers } of [inside, outside()!]) {
    expect(status).toBe(200);
    expect(headers.list('Allow')).toEqual(
      expect.arrayContaining([
        'INVITE',
        'ACK',
        'CANCEL',
        'BYE',
        'OPTIONS',
        'PRACK',
        'UPDATE',
        'REFER',
        'NOTIFY',
      ]),
    );
    expect([headers.list('Supported'), headers.get('Accept')]).toEqual([
      ['100rel', 'timer'],
      'application/sdp',
    ]);
  }
  expect([outside()!.to.params.has('tag'), house.endpoint.dialogCount]).toEqual([true, 1]);
});

describe('a transfer', () => {
  const target = parseUri('tel:+4940555')!;
  const fragment = 'Content-Type: message/sipfrag;version=2.0';
  const notify = async (sequence: number, event: string, state: string, body: string) =>
    (await house.ask('NOTIFY', sequence, [`Event: ${event}`, `Subscription-State: ${state}`, fragment], body))
      .status;

  async function refer() {
    const { session, ended } = await house.takeCall();
    const progress: TransferProgress[] = [];
    const before = sent('REFER').length;
    const forget = session.refer(target, new Headers(), (one) => progress.push(one));
    await until(() => sent('REFER').length > before, 'the REFER has come');
    return { session, ended, progress, forget, request: sent('REFER').at(-1)! };
  }
  const summary = (progress: TransferProgress[]) =>
    progress.map(({ status, reason, final }) => `${status} ${reason}${final ? '.' : ''}`);

  test('is reported as the peer notifies it, to the first final status', async () => {
    const { progress, request, ended } = await refer();
    expect(request.headers.get('Refer-To')).toBe('<tel:+4940555>');
    house.answerTo(request, 202);
    expect(await notify(2, 'refer', 'active;expires=60', 'SIP/2.0 100 Trying')).toBe(200);
    expect(await notify(3, 'refer', 'active;expires=60', 'SIP/2.0 180 Ringing')).toBe(200);
    expect(await notify(4, 'refer', 'terminated;reason=noresource', 'SIP/2.0 200 OK')).toBe(200);
    expect(summary(progress)).toEqual(['100 Trying', '180 Ringing', '200 OK.']);
    expect(await notify(5, 'refer', 'terminated', 'SIP/2.0 200 OK')).toBe(481);
    expect(ended()).toBeUndefined();
  });

  test.each([
    ['without a status, at its end', 'terminated;reason=timeout', '', ['487 .']],
    ['with a body that is none', 'active', 'hello', ['100 ']],
    ['before the REFER is answered', 'active', 'SIP/2.0 183 Session Progress', ['183 Session Progress']],
  ])('that is notified %s', async (_how, state, body, reported) => {
    const { progress } = await refer();
    expect(await notify(2, 'refer', state, body)).toBe(200);
    expect(summary(progress)).toEqual(reported);
  });

  test('that the peer refuses is over', async () => {
    const { progress, request, session, ended } = await refer();
    house.answerTo(request, 603);
    await until(() => progress.length > 0, 'it is reported');
    expect(summary(progress)).toEqual(['603 Decline.']);
    expect(ended()).toBeUndefined();
    session.refer(target, new Headers(), () => {});
    await until(() => sent('REFER').length === 2, 'another may begin');
  });

  test('is one at a time', async () => {
    const { session } = await refer();
    const second: TransferProgress[] = [];
    session.refer(target, new Headers(), (one) => second.push(one));
    expect(summary(second)).toEqual(['491 no transfer is possible now.']);
    expect(sent('REFER')).toHaveLength(1);
  });

  test('that is forgotten makes room for another one, which its notifications do not touch', async () => {
    const { session, progress, forget, request } = await refer();
    house.answerTo(request, 202);
    forget();
    const second: TransferProgress[] = [];
    session.refer(target, new Headers(), (one) => second.push(one));
    await until(() => sent('REFER').length === 2, 'another one has begun');
    const [first, other] = sent('REFER').map(({ cseq }) => cseq.sequence);
    expect(await notify(2, `refer;id=${first}`, 'terminated', 'SIP/2.0 486 Busy Here')).toBe(481);
    expect(await notify(3, `refer;id=${other}`, 'terminated', 'SIP/2.0 200 OK')).toBe(200);
    expect([summary(progress), summary(second)]).toEqual([[], ['200 OK.']]);
  });

  test('of a call that ends is over', async () => {
    const { progress } = await refer();
    expect((await house.ask('BYE', 2)).status).toBe(200);
    expect(summary(progress)).toEqual(['487 call ended.']);
  });

  test('that the peer asks for is declined, and a REFER to nowhere is malformed', async () => {
    await house.takeCall();
    expect((await house.ask('REFER', 2, ['Refer-To: <sip:elsewhere@127.0.0.1>'])).status).toBe(603);
    expect((await house.ask('REFER', 3)).status).toBe(400);
  });

  test('notifications of other events, and of no transfer, are refused', async () => {
    await house.takeCall();
    expect(await notify(2, 'refer', 'active', 'SIP/2.0 100 Trying')).toBe(481);
    const presence = await house.ask('NOTIFY', 3, ['Event: presence', 'Subscription-State: active']);
    expect([presence.status, presence.headers.get('Allow-Events')]).toEqual([489, 'refer']);
  });
});

test('a new offer in a call is answered, by UPDATE as by INVITE, and an answer that is never acknowledged hung up on', async () => {
  const { session, ended } = await house.takeCall();
  const offers: string[] = [];
  session.onOffer = (offer) => {
    offers.push(offer.toString());
    return { answer: sdp };
  };
  const moved = sdp.toString().replace('4000', '5000');
  house.peer.send(house.fromPeer('UPDATE', 2, house.tag, [], moved));
  expect((await house.peer.final('call', 'UPDATE')).body.toString()).toContain('m=audio 4000');
  const held = `${sdp}a=sendonly\r\n`;
  house.peer.send(house.fromPeer('INVITE', 3, house.tag, [], held));
  await until(
    () => house.peer.responses('call').some(({ cseq, status }) => cseq.sequence === 3 && status === 200),
    'the hold is answered',
  );
  expect(offers).toEqual([moved, held]);
  for (let s = 0; s < 40; s++) house.clock.advance(1_000);
  expect(ended()).toBe('hung up');
});
