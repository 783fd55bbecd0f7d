import { RequestResponse, RequestResponse_Reason, StoreDataBlobRequest } from '@livekit/protocol';
import { expect, test } from 'vitest';
import { Requests } from '../../src/room/connection/requests.js';
import type { Session } from '../../src/room/connection/session.js';

function openRequests(timeoutMs: number, send = () => {}) {
  const session = { send } as unknown as Session;
  return new Requests({ whenConnected: async () => session }, timeoutMs);
}

const ask = (requests: Requests) =>
  requests.ask({ what: 'no answer' }, (requestId) => ({
    case: 'storeDataBlobRequest',
    value: new StoreDataBlobRequest({ requestId }),
  }));

test('a request whose deadline has passed is forgotten', async () => {
  const requests = openRequests(5);
  const failures = await Promise.all(
    Array.from({ length: 20 }, () => ask(requests).catch((error: unknown) => error)),
  );
  expect(failures).toEqual(failures.map(() => expect.objectContaining({ code: 'OFFHOOK_DEADLINE' })));
  expect(requests.waiting).toBe(0);
});

test('a request that is answered is forgotten', async () => {
  const requests = openRequests(10_000);
  const asked = ask(requests);
  await expect.poll(() => requests.waiting).toBe(1);
  requests.handleResponse(new RequestResponse({ requestId: 1, reason: RequestResponse_Reason.OK }));
  await asked;
  expect(requests.waiting).toBe(0);
});

test('a request that cannot be sent is forgotten', async () => {
  const requests = openRequests(10_000, () => {
    throw new Error('the session is closed');
  });
  await expect(ask(requests)).rejects.toThrow('the session is closed');
  expect(requests.waiting).toBe(0);
});
