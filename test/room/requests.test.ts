import { RequestResponse, RequestResponse_Reason } from '@livekit/protocol';
import { expect, test } from 'vitest';
import { withDeadline } from '../../src/deadlines/index.js';
import { Requests } from '../../src/room/connection/requests.js';

const ask = (requests: Requests, timeoutMs: number) =>
  withDeadline({ stage: 'request', timeoutMs, what: 'no answer' }, (signal) =>
    requests.ask(signal, () => {}),
  );

test('a request whose deadline has passed is forgotten', async () => {
  const requests = new Requests();
  const failures = await Promise.all(
    Array.from({ length: 20 }, () => ask(requests, 5).catch((error: unknown) => error)),
  );
  expect(failures).toEqual(failures.map(() => expect.objectContaining({ code: 'OFFHOOK_DEADLINE' })));
  expect(requests.waiting).toBe(0);
});

test('a request that is answered is forgotten', async () => {
  const requests = new Requests();
  const asked = ask(requests, 10_000);
  expect(requests.waiting).toBe(1);
  requests.handleResponse(new RequestResponse({ requestId: 1, reason: RequestResponse_Reason.OK }));
  await asked;
  expect(requests.waiting).toBe(0);
});

test('a request that cannot be sent is forgotten', async () => {
  const requests = new Requests();
  const signal = new AbortController().signal;
  const send = () => {
    throw new Error('the session is closed');
  };
  await expect(requests.ask(signal, send)).rejects.toThrow('the session is closed');
  expect(requests.waiting).toBe(0);
});
