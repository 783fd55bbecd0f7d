import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CallSession, IncomingCall, OutgoingCall, SipEndpoint } from '../../src/sip/call/index.js';
import { Headers, parseUri, responseTo, type SipUri, serializeMessage } from '../../src/sip/message/index.js';
import { ManualClock } from '../audio/manual-clock.js';
import { RawPeer } from './raw-peer.js';
import { until } from './until.js';

const sdp = Buffer.from(
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n',
);

let endpoint: SipEndpoint;
let peer: RawPeer;
let clock: ManualClock;

beforeEach(async () => {
  clock = new ManualClock();
  endpoint = await SipEndpoint.open({ host: '127.0.0.1', port: 0, clock });
  peer = await RawPeer.open(endpoint.port);
});
afterEach(async () => {
  peer.close();
  await endpoint.close();
});

/** A call from us to the peer, and what became of it. */
function dial() {
  const outcome: { rings: number; session?: CallSession; failed?: number } = { rings: 0 };
  const named = (user: string) => ({ uri: parseUri(`sip:${user}@127.0.0.1`)!, params: new Map() });
  const call = new OutgoingCall(
    endpoint,
    {
      target: parseUri(`sip:1@127.0.0.1:${peer.port}`) as SipUri,
      protocol: 'udp',
      from: named('us'),
      to: named('1'),
      offer: () => sdp,
    },
    {
      onRinging: () => outcome.rings++,
      onAnswered: (session) => {
        outcome.session = session;
      },
      onFailed: (status) => {
        outcome.failed = status;
      },
    },
  );
  return { call, outcome };
}

/** Answers our INVITE as one of its branches. */
function answer(status: number, toTag: string, more: Record<string, string> = {}): void {
  const invite = peer.requests.find(({ method }) => method === 'INVITE')!;
  const headers = Headers.of({ Contact: `<sip:${toTag}@127.0.0.1:${peer.port}>`, ...more });
  if (status === 200) headers.add('Content-Type', 'application/sdp');
  const response = responseTo(invite, status, { toTag, headers, ...(status === 200 ? { body: sdp } : {}) });
  peer.send(serializeMessage(response));
}

const sent = (method: string) => peer.requests.filter((request) => request.method === method);

describe('a call that goes out', () => {
  test('and is answered by two branches of a fork goes on with the first, and hangs up on the other', async () => {
    const { outcome } = dial();
    await until(() => sent('INVITE').length > 0, 'the INVITE has come');
    for (const tag of ['a', 'b', 'c']) answer(180, tag);
    await until(() => outcome.rings === 3, 'three telephones ring');
    expect(endpoint.dialogCount).toBe(3);
    answer(200, 'a');
    await until(() => outcome.session !== undefined, 'the call is answered');
    answer(200, 'b');
    await until(() => sent('BYE').length > 0, 'the other branch is hung up on');
    const tags = (method: string) => [...new Set(sent(method).map(({ to }) => to.params.get('tag')))];
    expect([tags('ACK'), tags('BYE')]).toEqual([['a', 'b'], ['b']]);
    expect(endpoint.dialogCount).toBe(1);
    expect(outcome.session?.isEnded).toBe(false);
  });

  test('acknowledges what the peer wants acknowledged while it rings, once', async () => {
    const { outcome } = dial();
    await until(() => sent('INVITE').length > 0, 'the INVITE has come');
    for (let i = 0; i < 3; i++) answer(180, 'a', { Require: '100rel', RSeq: '7' });
    await until(() => sent('PRACK').length > 0 && outcome.rings === 3, 'the PRACK has come');
    const [prack] = sent('PRACK');
    const { sequence } = sent('INVITE')[0]!.cseq;
    expect(prack!.headers.get('RAck')).toBe(`7 ${sequence} INVITE`);
    expect(peer.methods).toEqual(['INVITE', 'PRACK']);
  });

  test('is cancelled once the peer has said that it knows of it, and an answer that crosses is hung up on', async () => {
    const { call, outcome } = dial();
    await until(() => sent('INVITE').length > 0, 'the INVITE has come');
    call.cancel();
    expect(outcome.failed).toBe(487);
    answer(180, 'a');
    await until(() => sent('CANCEL').length > 0, 'the CANCEL has come');
    answer(200, 'a');
    await until(() => sent('BYE').length > 0, 'the answer is hung up on');
    expect(peer.methods).toEqual(['INVITE', 'CANCEL', 'ACK', 'BYE']);
    expect(endpoint.dialogCount).toBe(0);
  });
});

/** A call from the peer to us, which is answered at once. */
async function takeCall(
  more: string[] = [],
): Promise<{ session: CallSession; ended: () => string | undefined }> {
  let session: CallSession | undefined;
  let ended: string | undefined;
  let isAcknowledged = false;
  endpoint.onInvite = (served) => {
    const call = new IncomingCall(endpoint, served);
    call.accept(sdp);
    session = call.session;
    session.onAcknowledged = () => {
      isAcknowledged = true;
    };
    session.onEnded = (why) => {
      ended = why;
    };
  };
  peer.send(fromPeer('INVITE', 1, '', more, sdp.toString()));
  const { to } = await peer.final('call', 'INVITE');
  tag = `;tag=${to.params.get('tag')}`;
  peer.send(fromPeer('ACK', 1, tag));
  await until(() => isAcknowledged, 'the call is there');
  return { session: session!, ended: () => ended };
}

let tag = '';

function fromPeer(method: string, sequence: number, toTag = tag, more: string[] = [], body = ''): string {
  return [
    `${method} sip:1@127.0.0.1 SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK${method}${sequence};rport`,
    'From: <sip:peer@127.0.0.1>;tag=peer',
    `To: <sip:1@127.0.0.1>${toTag}`,
    'Call-ID: call',
    `CSeq: ${sequence} ${method}`,
    `Contact: <sip:peer@127.0.0.1:${peer.port}>`,
    'Max-Forwards: 70',
    ...more,
    ...(body ? ['Content-Type: application/sdp'] : []),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

describe('a session timer', () => {
  const asked = ['Supported: timer', 'Session-Expires: 90;refresher=uac'];

  test('that the peer does not refresh ends the call with a BYE', async () => {
    const { ended } = await takeCall(asked);
    clock.advance(59_000);
    expect(ended()).toBeUndefined();
    clock.advance(2_000);
    expect(ended()).toBe('the session expired without a refresh');
    await until(() => sent('BYE').length > 0, 'the peer is hung up on');
    expect(sent('BYE')[0]!.headers.get('Reason')).toContain('Session expired');
    expect(endpoint.dialogCount).toBe(0);
  });

  test('that the peer refreshes by UPDATE starts again', async () => {
    const { ended } = await takeCall(asked);
    clock.advance(50_000);
    peer.send(fromPeer('UPDATE', 2, tag, asked));
    const { status, headers } = await peer.final('call', 'UPDATE');
    expect([status, headers.get('Session-Expires')]).toEqual([200, '90;refresher=uac']);
    clock.advance(50_000);
    expect(ended()).toBeUndefined();
    clock.advance(20_000);
    expect(ended()).toBe('the session expired without a refresh');
  });

  test('that is ours to refresh is refreshed by UPDATE where the peer knows it', async () => {
    const { ended } = await takeCall([
      'Allow: INVITE, ACK, BYE, UPDATE',
      'Supported: timer',
      'Session-Expires: 90;refresher=uas',
    ]);
    clock.advance(46_000);
    await until(() => sent('UPDATE').length > 0, 'the refresh has come');
    const [update] = sent('UPDATE');
    peer.send(serializeMessage(responseTo(update!, 200, {})));
    await until(() => endpoint.transactions.size > 0, 'the answer is on its way');
    expect(update!.headers.get('Session-Expires')).toBe('90;refresher=uac');
    expect(ended()).toBeUndefined();
  });
});

test('a new offer in a call is answered, by UPDATE as by INVITE, and an answer that is never acknowledged hung up on', async () => {
  const { session, ended } = await takeCall();
  const offers: string[] = [];
  session.onOffer = (offer) => {
    offers.push(offer.toString());
    return { answer: sdp };
  };
  const moved = sdp.toString().replace('4000', '5000');
  peer.send(fromPeer('UPDATE', 2, tag, [], moved));
  expect((await peer.final('call', 'UPDATE')).body.toString()).toContain('m=audio 4000');
  const held = `${sdp}a=sendonly\r\n`;
  peer.send(fromPeer('INVITE', 3, tag, [], held));
  await until(
    () => peer.responses('call').some(({ cseq, status }) => cseq.sequence === 3 && status === 200),
    'the hold is answered',
  );
  expect(offers).toEqual([moved, held]);
  for (let s = 0; s < 40; s++) clock.advance(1_000);
  expect(ended()).toBe('hung up');
});
