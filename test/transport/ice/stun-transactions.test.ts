import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { OffhookError } from '../../../src/errors/index.js';
import { type StunMessage, stunMethod } from '../../../src/transport/ice/stun.js';
import { StunTransactions } from '../../../src/transport/ice/stun-transactions.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const packet = Buffer.from('request');

function start() {
  const sent: Buffer[] = [];
  const transactions = new StunTransactions({
    send: (message) => sent.push(message),
    resendAtMs: [200, 600],
    timeoutMs: 1_000,
    name: 'the server',
  });
  return { sent, transactions };
}

const answer = (id: number, kind: StunMessage['class'] = 'success'): StunMessage => ({
  class: kind,
  method: stunMethod.binding,
  transactionId: Buffer.alloc(12, id),
  attributes: [],
});

test('a request is sent again while it is not answered, and then no more', async () => {
  const { sent, transactions } = start();
  const response = transactions.request(Buffer.alloc(12, 1), packet);
  vi.advanceTimersByTime(300);
  expect(sent).toEqual([packet, packet]);
  expect(transactions.receive(answer(2))).toBe(false);
  expect(transactions.receive(answer(1, 'request'))).toBe(false);
  expect(transactions.receive(answer(1, 'error'))).toBe(true);
  expect(transactions.receive(answer(1))).toBe(false);
  expect((await response).class).toBe('error');
  vi.advanceTimersByTime(5_000);
  expect(sent).toHaveLength(2);
});

test('silence and the end are told apart', async () => {
  const { sent, transactions } = start();
  const silent = expect(transactions.request(Buffer.alloc(12, 1), packet)).rejects.toMatchObject({
    code: 'OFFHOOK_DEADLINE',
  });
  vi.advanceTimersByTime(1_000);
  await silent;
  const closed = expect(transactions.request(Buffer.alloc(12, 2), packet)).rejects.toThrow('over');
  transactions.close(new OffhookError('OFFHOOK_CLOSED', 'it is over'));
  await closed;
  vi.advanceTimersByTime(5_000);
  expect(sent).toHaveLength(4);
});
