import { describe, expect, test } from 'vitest';
import { parseMessage, responseTo, type SipRequest } from '../../src/sip/message/index.js';
import { Transactions } from '../../src/sip/transaction/index.js';
import { ManualClock } from '../audio/manual-clock.js';

/**
 * The four state machines of RFC 3261, sections 17.1 and 17.2, with the state Accepted of RFC 6026: each state with each
 * event, and the timers that run in each state. What the RFC calls Trying is `calling` for a client here.
 */

/** What happens: a message, an act of the transaction's user, or the end of a connection. */
type Event = '1xx' | '2xx' | '3xx' | 'request' | 'ACK' | 'connection ends';
/** State before, event, state after, what is sent, what the transaction's user is given. */
type Row = [before: string, event: Event, after: string, sent: string, given: string];
/** State, and from when it was entered: the time of each message that its timers send, and of its end. */
type Timers = [state: string, sentAtMs: number[], endsAtMs: number, given: string];
/** The end of a state that no timer ends. */
const NEVER = Infinity;

const statusOf = { '1xx': 180, '2xx': 200, '3xx': 486 } as const;
const connection = {};

function request(
  method: string,
  { via = '192.0.2.9;branch=z9hG4bK1', callId = '1', sequence = 1 } = {},
): SipRequest {
  const text = [
    `${method} sip:b@192.0.2.1 SIP/2.0`,
    `Via: SIP/2.0/UDP ${via}`,
    'From: <sip:a@192.0.2.9>;tag=1',
    'To: <sip:b@192.0.2.1>',
    `Call-ID: ${callId}`,
    `CSeq: ${sequence} ${method}`,
    '',
    '',
  ].join('\r\n');
  const parsed = parseMessage(Buffer.from(text));
  if (parsed.kind !== 'message' || parsed.message.kind !== 'request') throw new Error('not a request');
  return parsed.message;
}

/** One transaction, whose state a test reaches by events. */
interface Machine {
  clock: ManualClock;
  transactions: Transactions;
  state(): string;
  /** What was sent, and what its user was given, since the last call. */
  take(): { sent: string; sentAtMs: number[]; given: string };
  happens(event: Event): void;
}

function recorder(clock: ManualClock) {
  let sent: [number, string][] = [];
  let given: string[] = [];
  return {
    send: (what: string) => sent.push([clock.nowMs(), what]),
    give: (what: string) => given.push(what),
    take: () => {
      const taken = {
        sent: sent.map(([, what]) => what).join(' '),
        sentAtMs: sent.map(([atMs]) => atMs),
        given: given.join(' '),
      };
      sent = [];
      given = [];
      return taken;
    },
  };
}

function client(method: string, reliable: boolean): Machine {
  const clock = new ManualClock();
  const transactions = new Transactions(clock);
  const { send, give, take } = recorder(clock);
  const message = request(method);
  const transaction = transactions.request({
    request: message,
    reliable,
    connection,
    send: (outgoing) => send(outgoing.method),
    onResponse: ({ status }) => give(String(status)),
    onFailed: give,
  });
  return {
    clock,
    transactions,
    take,
    state: () => transaction.state,
    happens: (event) => {
      if (event === 'connection ends') transactions.connectionEnded(connection);
      else transactions.receive(responseTo(message, statusOf[event as '1xx'], { toTag: 'b' }));
    },
  };
}

function server(method: string, reliable: boolean): Machine {
  const clock = new ManualClock();
  const transactions = new Transactions(clock);
  const { send, give, take } = recorder(clock);
  const message = request(method);
  const transaction = transactions.serve({
    request: message,
    reliable,
    send: ({ status }) => send(String(status)),
    onUnacknowledged: () => give('no ACK'),
  });
  return {
    clock,
    transactions,
    take,
    state: () => transaction.state,
    happens: (event) => {
      if (event === 'request') transaction.repeat();
      else if (event === 'ACK') transactions.acknowledge(transaction);
      else transactions.respond(transaction, responseTo(message, statusOf[event as '1xx']));
    },
  };
}

const machines: Record<
  string,
  {
    start: (reliable: boolean) => Machine;
    /** Events by which each state is reached from the beginning. */
    reach: Record<string, Event[]>;
    rows: Row[];
    timers: Timers[];
    /** Over TCP and TLS. */
    reliableTimers: Timers[];
  }
> = {
  'an INVITE client (figure 5)': {
    start: (reliable) => client('INVITE', reliable),
    reach: {
      calling: [],
      proceeding: ['1xx'],
      completed: ['3xx'],
      accepted: ['2xx'],
      terminated: ['connection ends'],
    },
    rows: [
      ['calling', '1xx', 'proceeding', '', '180'],
      ['calling', '2xx', 'accepted', '', '200'],
      ['calling', '3xx', 'completed', 'ACK', '486'],
      ['calling', 'connection ends', 'terminated', '', 'the connection has ended'],
      ['proceeding', '1xx', 'proceeding', '', '180'],
      ['proceeding', '2xx', 'accepted', '', '200'],
      ['proceeding', '3xx', 'completed', 'ACK', '486'],
      ['proceeding', 'connection ends', 'proceeding', '', ''],
      ['completed', '1xx', 'completed', '', ''],
      ['completed', '2xx', 'completed', '', ''],
      ['completed', '3xx', 'completed', 'ACK', ''],
      ['completed', 'connection ends', 'completed', '', ''],
      ['accepted', '1xx', 'accepted', '', ''],
      ['accepted', '2xx', 'accepted', '', '200'],
      ['accepted', '3xx', 'accepted', '', ''],
      ['accepted', 'connection ends', 'accepted', '', ''],
      ['terminated', '1xx', 'terminated', '', ''],
      ['terminated', '2xx', 'terminated', '', ''],
      ['terminated', '3xx', 'terminated', '', ''],
    ],
    timers: [
      // Timers A and B.
      ['calling', [500, 1_500, 3_500, 7_500, 15_500, 31_500], 32_000, 'no answer'],
      ['proceeding', [], NEVER, ''],
      // Timer D.
      ['completed', [], 32_000, ''],
      // Timer M.
      ['accepted', [], 32_000, ''],
    ],
    reliableTimers: [
      ['calling', [], 32_000, 'no answer'],
      ['proceeding', [], NEVER, ''],
      ['completed', [], 0, ''],
      ['accepted', [], 32_000, ''],
    ],
  },
  'a client of another method (figure 6)': {
    start: (reliable) => client('OPTIONS', reliable),
    reach: { calling: [], proceeding: ['1xx'], completed: ['3xx'], terminated: ['connection ends'] },
    rows: [
      ['calling', '1xx', 'proceeding', '', '180'],
      ['calling', '2xx', 'completed', '', '200'],
      ['calling', '3xx', 'completed', '', '486'],
      ['calling', 'connection ends', 'terminated', '', 'the connection has ended'],
      ['proceeding', '1xx', 'proceeding', '', '180'],
      ['proceeding', '2xx', 'completed', '', '200'],
      ['proceeding', '3xx', 'completed', '', '486'],
      ['proceeding', 'connection ends', 'proceeding', '', ''],
      ['completed', '1xx', 'completed', '', ''],
      ['completed', '2xx', 'completed', '', ''],
      ['completed', '3xx', 'completed', '', ''],
      ['completed', 'connection ends', 'completed', '', ''],
      ['terminated', '1xx', 'terminated', '', ''],
      ['terminated', '2xx', 'terminated', '', ''],
      ['terminated', '3xx', 'terminated', '', ''],
    ],
    timers: [
      // Timers E and F.
      [
        'calling',
        [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500],
        32_000,
        'no answer',
      ],
      // The provisional response leaves timer E as it was set; then it is set to T2.
      ['proceeding', [500, 4_500, 8_500, 12_500, 16_500, 20_500, 24_500, 28_500], 32_000, 'no answer'],
      // Timer K.
      ['completed', [], 5_000, ''],
    ],
    reliableTimers: [
      ['calling', [], 32_000, 'no answer'],
      ['proceeding', [], 32_000, 'no answer'],
      ['completed', [], 0, ''],
    ],
  },
  'an INVITE server (figure 7)': {
    start: (reliable) => server('INVITE', reliable),
    reach: { proceeding: ['1xx'], completed: ['3xx'], confirmed: ['3xx', 'ACK'], accepted: ['2xx'] },
    rows: [
      ['proceeding', 'request', 'proceeding', '180', ''],
      ['proceeding', 'ACK', 'proceeding', '', ''],
      ['proceeding', '1xx', 'proceeding', '180', ''],
      ['proceeding', '2xx', 'accepted', '200', ''],
      ['proceeding', '3xx', 'completed', '486', ''],
      ['completed', 'request', 'completed', '486', ''],
      ['completed', 'ACK', 'confirmed', '', ''],
      ['completed', '1xx', 'completed', '', ''],
      ['completed', '2xx', 'completed', '', ''],
      ['completed', '3xx', 'completed', '', ''],
      ['confirmed', 'request', 'confirmed', '', ''],
      ['confirmed', 'ACK', 'confirmed', '', ''],
      ['confirmed', '1xx', 'confirmed', '', ''],
      ['confirmed', '2xx', 'confirmed', '', ''],
      ['confirmed', '3xx', 'confirmed', '', ''],
      ['accepted', 'request', 'accepted', '', ''],
      ['accepted', 'ACK', 'accepted', '', ''],
      ['accepted', '1xx', 'accepted', '', ''],
      ['accepted', '2xx', 'accepted', '', ''],
      ['accepted', '3xx', 'accepted', '', ''],
    ],
    timers: [
      ['proceeding', [], NEVER, ''],
      // Timers G and H.
      [
        'completed',
        [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500],
        32_000,
        'no ACK',
      ],
      // Timer I.
      ['confirmed', [], 5_000, ''],
      // Timer L.
      ['accepted', [], 32_000, ''],
    ],
    reliableTimers: [
      ['proceeding', [], NEVER, ''],
      ['completed', [], 32_000, 'no ACK'],
      ['confirmed', [], 0, ''],
      ['accepted', [], 32_000, ''],
    ],
  },
  'a server of another method (figure 8)': {
    start: (reliable) => server('OPTIONS', reliable),
    reach: { trying: [], proceeding: ['1xx'], completed: ['2xx'] },
    rows: [
      ['trying', 'request', 'trying', '', ''],
      ['trying', '1xx', 'proceeding', '180', ''],
      ['trying', '2xx', 'completed', '200', ''],
      ['trying', '3xx', 'completed', '486', ''],
      ['proceeding', 'request', 'proceeding', '180', ''],
      ['proceeding', '1xx', 'proceeding', '180', ''],
      ['proceeding', '2xx', 'completed', '200', ''],
      ['proceeding', '3xx', 'completed', '486', ''],
      ['completed', 'request', 'completed', '200', ''],
      ['completed', '1xx', 'completed', '', ''],
      ['completed', '2xx', 'completed', '', ''],
      ['completed', '3xx', 'completed', '', ''],
    ],
    timers: [
      ['trying', [], NEVER, ''],
      ['proceeding', [], NEVER, ''],
      // Timer J.
      ['completed', [], 32_000, ''],
    ],
    reliableTimers: [
      ['trying', [], NEVER, ''],
      ['proceeding', [], NEVER, ''],
      ['completed', [], 0, ''],
    ],
  },
};

describe.each(Object.entries(machines))('%s', (_name, { start, reach, rows, timers, reliableTimers }) => {
  function reached(state: string, reliable = false): Machine {
    const machine = start(reliable);
    for (const event of reach[state]!) machine.happens(event);
    expect(machine.state()).toBe(state);
    machine.take();
    return machine;
  }

  test.each(rows)('%s, %s: %s', (before, event, after, sent, given) => {
    const machine = reached(before);
    machine.happens(event);
    expect(machine.state()).toBe(after);
    expect(machine.take()).toMatchObject({ sent, given });
  });

  test.each([
    ...timers.map((timer) => ['UDP', ...timer] as const),
    ...reliableTimers.map((timer) => ['TCP', ...timer] as const),
  ])('%s, %s: sends after %j ms, ends after %s ms', (transport, state, sentAtMs, endsAtMs, given) => {
    const { clock, transactions, take, ...machine } = reached(state, transport === 'TCP');
    const enteredMs = clock.nowMs();
    const ends = endsAtMs !== NEVER;
    if (ends && endsAtMs > 0) {
      clock.advance(endsAtMs - 1);
      expect(machine.state()).toBe(state);
      clock.advance(1);
    } else clock.advance(ends ? endsAtMs : 600_000);
    expect(machine.state()).toBe(ends ? 'terminated' : state);
    const taken = take();
    expect(taken.sentAtMs.map((atMs) => atMs - enteredMs)).toEqual(sentAtMs);
    expect(taken.given).toBe(given);
    expect([transactions.size, clock.pendingTimers]).toEqual([ends ? 0 : 1, 0]);
  });
});

describe('what belongs to a transaction', () => {
  function serve(message: SipRequest) {
    const transactions = new Transactions(new ManualClock());
    const transaction = transactions.serve({ request: message, reliable: false, send: () => {} });
    return { transactions, transaction };
  }

  // RFC 3261, section 17.2.3.
  test.each<[string, SipRequest, SipRequest, boolean]>([
    ['the request again', request('INVITE'), request('INVITE'), true],
    ['its ACK', request('INVITE'), request('ACK'), true],
    ['another method', request('OPTIONS'), request('INFO'), false],
    ['another branch', request('INVITE'), request('INVITE', { via: '192.0.2.9;branch=z9hG4bK2' }), false],
    [
      'the branch of another sender',
      request('INVITE'),
      request('INVITE', { via: '192.0.2.8;branch=z9hG4bK1' }),
      false,
    ],
    ['the same branch in another call', request('INVITE'), request('INVITE', { callId: '2' }), true],
    [
      'no branch, as of RFC 2543',
      request('INVITE', { via: '192.0.2.9' }),
      request('ACK', { via: '192.0.2.9' }),
      true,
    ],
    [
      'a branch of RFC 2543, which need not be unique, in another call',
      request('INVITE', { via: '192.0.2.9;branch=1' }),
      request('INVITE', { via: '192.0.2.9;branch=1', callId: '2' }),
      false,
    ],
    [
      'a branch of RFC 2543 in the same call',
      request('INVITE', { via: '192.0.2.9;branch=1' }),
      request('INVITE', { via: '192.0.2.9;branch=1' }),
      true,
    ],
    [
      'no branch, in another call',
      request('INVITE', { via: '192.0.2.9' }),
      request('INVITE', { via: '192.0.2.9', callId: '2' }),
      false,
    ],
    [
      'no branch, with another number',
      request('INVITE', { via: '192.0.2.9' }),
      request('INVITE', { via: '192.0.2.9', sequence: 2 }),
      false,
    ],
  ])('%s', (_what, first, second, belongs) => {
    const { transactions, transaction } = serve(first);
    expect(transactions.findServer(second)).toBe(belongs ? transaction : undefined);
  });

  test('a CANCEL is for the INVITE with its branch, and no other', () => {
    const { transactions, transaction } = serve(request('INVITE'));
    expect(transactions.findCancelled(request('CANCEL'))).toBe(transaction);
    const other = request('CANCEL', { via: '192.0.2.9;branch=z9hG4bK2' });
    expect(transactions.findCancelled(other)).toBeUndefined();
    expect(transactions.findServer(request('CANCEL'))).toBeUndefined();
  });

  test('a response is for the request with its branch and method (section 17.1.3)', () => {
    const { transactions, take } = client('INVITE', false);
    const respondTo = (message: SipRequest) => transactions.receive(responseTo(message, 180));
    expect(respondTo(request('CANCEL'))).toBe(false);
    expect(respondTo(request('INVITE', { via: '192.0.2.9;branch=z9hG4bK2' }))).toBe(false);
    expect(respondTo(request('INVITE'))).toBe(true);
    expect(take().given).toBe('180');
  });
});

test('somebody unknown is refused once, and nothing is kept', () => {
  const clock = new ManualClock();
  const transactions = new Transactions(clock);
  const { send, take } = recorder(clock);
  const message = request('INVITE');
  const transaction = transactions.serve({
    request: message,
    reliable: false,
    send: ({ status }) => send(String(status)),
  });
  transactions.refuse(transaction, responseTo(message, 401));
  clock.advance(40_000);
  expect(take().sent).toBe('401');
  expect([transactions.size, clock.pendingTimers]).toEqual([0, 0]);
});

test('the last response is what is repeated', () => {
  const machine = server('INVITE', false);
  machine.transactions.respond(
    machine.transactions.findServer(request('INVITE'))!,
    responseTo(request('INVITE'), 100),
  );
  machine.happens('request');
  machine.happens('1xx');
  machine.happens('request');
  expect(machine.take().sent).toBe('100 100 180 180');
});

test('closing leaves no timer', () => {
  const { clock, transactions } = client('INVITE', false);
  transactions.close();
  expect(clock.pendingTimers).toBe(0);
});
