import { describe, expect, test } from 'vitest';
import { parseMessage, responseTo, type SipRequest, type SipResponse } from '../../src/sip/message/index.js';
import { Transactions } from '../../src/sip/transaction/index.js';
import { ManualClock } from '../audio/manual-clock.js';

function request(method: string, branch = 'z9hG4bK1'): SipRequest {
  const text = [
    `${method} sip:b@192.0.2.1 SIP/2.0`,
    `Via: SIP/2.0/UDP 192.0.2.9;branch=${branch}`,
    'From: <sip:a@192.0.2.9>;tag=1',
    'To: <sip:b@192.0.2.1>',
    'Call-ID: 1',
    `CSeq: 1 ${method}`,
    '',
    '',
  ].join('\r\n');
  const parsed = parseMessage(Buffer.from(text));
  if (parsed.kind !== 'message' || parsed.message.kind !== 'request') throw new Error('not a request');
  return parsed.message;
}

/** A client's transaction on a clock that a test holds: when it sent what, and what became of it. */
function client(method: string, reliable = false) {
  const clock = new ManualClock();
  const transactions = new Transactions(clock);
  const startMs = clock.nowMs();
  const sent: [number, string][] = [];
  const answers: number[] = [];
  let timedOutMs: number | undefined;
  const message = request(method);
  transactions.request({
    request: message,
    reliable,
    send: (outgoing) => sent.push([clock.nowMs() - startMs, outgoing.method]),
    onResponse: ({ status }) => answers.push(status),
    onTimeout: () => {
      timedOutMs = clock.nowMs() - startMs;
    },
  });
  const receive = (status: number) => transactions.receive(responseTo(message, status, { toTag: 'b' }));
  return { clock, transactions, sent, answers, receive, timedOutMs: () => timedOutMs };
}

/** A server's transaction. */
function server(method: string, reliable = false) {
  const clock = new ManualClock();
  const transactions = new Transactions(clock);
  const startMs = clock.nowMs();
  const sent: [number, number][] = [];
  let unacknowledgedMs: number | undefined;
  const message = request(method);
  const transaction = transactions.serve({
    request: message,
    reliable,
    send: ({ status }: SipResponse) => sent.push([clock.nowMs() - startMs, status]),
    onUnacknowledged: () => {
      unacknowledgedMs = clock.nowMs() - startMs;
    },
  });
  const respond = (status: number) => transactions.respond(transaction, responseTo(message, status));
  return {
    clock,
    transactions,
    transaction,
    sent,
    respond,
    message,
    unacknowledgedMs: () => unacknowledgedMs,
  };
}

describe('an INVITE that is sent', () => {
  test('is repeated after 0.5, 1, 2, 4 … s until 32 s are over (timers A and B)', () => {
    const { clock, sent, timedOutMs, transactions } = client('INVITE');
    clock.advance(40_000);
    expect(sent.map(([atMs]) => atMs)).toEqual([0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    expect(timedOutMs()).toBe(32_000);
    expect([transactions.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  test('is not repeated once it rings, and may ring for ever', () => {
    const { clock, sent, receive, timedOutMs } = client('INVITE');
    receive(180);
    clock.advance(600_000);
    expect(sent).toHaveLength(1);
    expect(timedOutMs()).toBeUndefined();
  });

  test('acknowledges a refusal, and every repetition of it for 32 s (timer D)', () => {
    const { clock, sent, receive, answers, transactions } = client('INVITE');
    receive(486);
    receive(486);
    expect(sent.map(([, method]) => method)).toEqual(['INVITE', 'ACK', 'ACK']);
    expect(answers).toEqual([486]);
    clock.advance(31_999);
    expect(transactions.size).toBe(1);
    clock.advance(1);
    expect([transactions.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  test('leaves 2xx, of which there may be several, to the call (timer M)', () => {
    const { clock, sent, receive, answers, transactions } = client('INVITE');
    receive(200);
    receive(200);
    expect(sent).toHaveLength(1);
    expect(answers).toEqual([200, 200]);
    clock.advance(32_000);
    expect([transactions.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  test('is sent once over TCP, and fails after the same time', () => {
    const { clock, sent, timedOutMs } = client('INVITE', true);
    clock.advance(40_000);
    expect(sent).toHaveLength(1);
    expect(timedOutMs()).toBe(32_000);
  });
});

describe('another request that is sent', () => {
  test('is repeated at intervals that double up to 4 s, for 32 s (timers E and F)', () => {
    const { clock, sent, timedOutMs } = client('BYE');
    clock.advance(40_000);
    expect(sent.map(([atMs]) => atMs)).toEqual([
      0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ]);
    expect(timedOutMs()).toBe(32_000);
  });

  test('is repeated every 4 s once the peer works on it', () => {
    const { clock, sent, receive } = client('OPTIONS');
    receive(100);
    clock.advance(12_500);
    expect(sent.map(([atMs]) => atMs)).toEqual([0, 4_000, 8_000, 12_000]);
  });

  test('absorbs repeated answers for 5 s (timer K), over TCP for none', () => {
    for (const [reliable, keptMs] of [
      [false, 5_000],
      [true, 0],
    ] as const) {
      const { clock, receive, answers, transactions } = client('BYE', reliable);
      receive(200);
      if (!reliable) receive(200);
      expect(answers).toEqual([200]);
      clock.advance(keptMs);
      expect([transactions.size, clock.pendingTimers]).toEqual([0, 0]);
    }
  });
});

describe('an INVITE that came', () => {
  test('repeats what was said last when it is repeated', () => {
    const { transaction, sent, respond } = server('INVITE');
    respond(100);
    transaction.repeat();
    respond(180);
    transaction.repeat();
    expect(sent.map(([, status]) => status)).toEqual([100, 100, 180, 180]);
  });

  test('repeats a refusal until it is acknowledged or 32 s are over (timers G and H)', () => {
    const { clock, sent, respond, unacknowledgedMs, transactions } = server('INVITE');
    respond(486);
    clock.advance(40_000);
    expect(sent.map(([atMs]) => atMs)).toEqual([
      0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500,
    ]);
    expect(unacknowledgedMs()).toBe(32_000);
    expect([transactions.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  test('absorbs repeated ACKs for 5 s (timer I)', () => {
    const { clock, sent, respond, transactions, transaction } = server('INVITE');
    respond(486);
    transactions.acknowledge(transaction);
    transaction.repeat();
    clock.advance(4_999);
    expect([sent.length, transactions.size]).toEqual([1, 1]);
    clock.advance(1);
    expect([transactions.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  test('refuses somebody unknown once, and keeps nothing', () => {
    const { clock, sent, transactions, transaction, message } = server('INVITE');
    transactions.refuse(transaction, responseTo(message, 401));
    clock.advance(40_000);
    expect(sent).toHaveLength(1);
    expect([transactions.size, clock.pendingTimers]).toEqual([0, 0]);
  });

  test('repeats no 2xx by itself: the call does (timer L)', () => {
    const { clock, sent, respond, transactions, transaction } = server('INVITE');
    respond(200);
    transaction.repeat();
    clock.advance(32_000);
    expect(sent).toHaveLength(1);
    expect([transactions.size, clock.pendingTimers]).toEqual([0, 0]);
  });
});

describe('another request that came', () => {
  test('gets its answer again when it is repeated, for 32 s (timer J)', () => {
    const { clock, sent, respond, transactions, transaction, message } = server('BYE');
    respond(200);
    clock.advance(31_999);
    expect(transactions.findServer(message)).toBe(transaction);
    transaction.repeat();
    expect(sent.map(([, status]) => status)).toEqual([200, 200]);
    clock.advance(1);
    expect([transactions.findServer(message), clock.pendingTimers]).toEqual([undefined, 0]);
  });

  test('is forgotten at once over TCP', () => {
    const { clock, respond, transactions } = server('BYE', true);
    respond(200);
    clock.advance(0);
    expect(transactions.size).toBe(0);
  });
});

test('a CANCEL is for the INVITE with its branch, and no other', () => {
  const { transactions, transaction } = server('INVITE');
  expect(transactions.findCancelled(request('CANCEL'))).toBe(transaction);
  expect(transactions.findCancelled(request('CANCEL', 'z9hG4bK2'))).toBeUndefined();
});

test('closing leaves no timer', () => {
  const { clock, transactions } = client('INVITE');
  transactions.close();
  expect(clock.pendingTimers).toBe(0);
});
