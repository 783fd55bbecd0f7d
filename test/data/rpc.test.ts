import { RpcRequest, RpcResponse } from '@livekit/protocol';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type PacketContent, RpcClient, RpcError, RpcServer, rpcErrorCodes } from '../../src/data/index.js';
import { Loop } from './loop.js';

/** A caller and a callee in one room. */
function connected() {
  const loop = new Loop();
  const client = new RpcClient(loop);
  const server = new RpcServer(loop);
  const deliver = (content: PacketContent) => {
    if (content.case === 'rpcRequest') void server.handleRequest('caller', content.value);
    else if (content.case === 'rpcAck') client.handleAck(content.value.requestId);
    else if (content.case === 'rpcResponse') client.handleResponse(content.value);
  };
  loop.onPacket = (content) => queueMicrotask(() => deliver(content));
  return { loop, client, server };
}

const call = (client: RpcClient, more: { payload?: string; method?: string } = {}) =>
  client.perform({ destinationIdentity: 'callee', method: 'greet', payload: 'Ada', ...more });

describe('a remote procedure call', () => {
  it('brings the answer of the handler', async () => {
    const { client, server } = connected();
    server.register('greet', ({ payload, callerIdentity }) => `hello ${payload}, from ${callerIdentity}`);
    expect(await call(client)).toBe('hello Ada, from caller');
  });

  it('leaves the handler the time that is left after the way there and back', async () => {
    const { client, server } = connected();
    server.register('greet', ({ responseTimeoutMs }) => String(responseTimeoutMs));
    expect(await call(client)).toBe('8000');
    const short = { destinationIdentity: 'callee', method: 'greet', payload: '', responseTimeoutMs: 2_000 };
    expect(await client.perform(short)).toBe('1000');
  });

  it('takes fractional times, and refuses unusable ones', async () => {
    const { loop, client, server } = connected();
    server.register('greet', () => 'hello');
    const request = { destinationIdentity: 'callee', method: 'greet', payload: '' };
    expect(await client.perform({ ...request, responseTimeoutMs: 10_000.5 })).toBe('hello');
    expect(loop.sent[0]).toMatchObject({ value: { responseTimeoutMs: 3_001 } });
    for (const responseTimeoutMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
      await expect(client.perform({ ...request, responseTimeoutMs })).rejects.toMatchObject({
        code: 'OFFHOOK_INVALID_REQUEST',
      });
    }
    expect(loop.sent.filter(({ case: kind }) => kind === 'rpcRequest')).toHaveLength(1);
  });

  it('fails with what the handler throws', async () => {
    const { client, server } = connected();
    server.register('greet', () => {
      throw new RpcError(4711, 'no greeting today', 'data');
    });
    await expect(call(client)).rejects.toMatchObject({
      code: 4711,
      message: 'no greeting today',
      data: 'data',
    });
  });

  it('hides errors of the handler that are not meant for the caller', async () => {
    const { client, server } = connected();
    server.register('greet', () => Promise.reject(new Error('password is hunter2')));
    await expect(call(client)).rejects.toMatchObject({
      code: rpcErrorCodes.applicationError,
      message: 'Application error in method handler',
      data: '',
    });
  });

  it('fails when nobody handles the method', async () => {
    const { client } = connected();
    await expect(call(client)).rejects.toMatchObject({ code: rpcErrorCodes.unsupportedMethod });
  });

  it('fails when the payload is too large, either way', async () => {
    const { client, server, loop } = connected();
    await expect(call(client, { payload: 'x'.repeat(15_361) })).rejects.toMatchObject({
      code: rpcErrorCodes.requestPayloadTooLarge,
    });
    expect(loop.sent).toEqual([]);
    server.register('greet', () => 'ü'.repeat(7_681));
    await expect(call(client)).rejects.toMatchObject({ code: rpcErrorCodes.responsePayloadTooLarge });
  });

  it('of another version is refused', async () => {
    const { server, loop } = connected();
    loop.onPacket = () => {};
    await server.handleRequest('caller', new RpcRequest({ id: '1', method: 'greet', version: 9 }));
    expect(loop.sent[1]).toMatchObject({
      case: 'rpcResponse',
      value: { value: { case: 'error', value: { code: rpcErrorCodes.unsupportedVersion } } },
    });
  });

  it('fails when it cannot be sent', async () => {
    const { client, loop } = connected();
    loop.send = () => Promise.reject(new Error('no channel'));
    await expect(call(client)).rejects.toMatchObject({ code: rpcErrorCodes.sendFailed });
  });
});

describe('a call that is not answered', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('fails after the round trip time when nobody acknowledges it', async () => {
    const { client, loop } = connected();
    loop.onPacket = () => {};
    const outcome = call(client).catch((error: RpcError) => error.code);
    await vi.advanceTimersByTimeAsync(7_000);
    expect(await outcome).toBe(rpcErrorCodes.connectionTimeout);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('fails as one that did not come, also when the caller waits a shorter time', async () => {
    const { client, loop } = connected();
    loop.onPacket = () => {};
    const outcome = client
      .perform({ destinationIdentity: 'server', method: 'greet', payload: '', responseTimeoutMs: 500 })
      .catch((error: RpcError) => error.code);
    await vi.advanceTimersByTimeAsync(500);
    expect(await outcome).toBe(rpcErrorCodes.connectionTimeout);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('fails after the response time when the handler says nothing', async () => {
    const { client, server } = connected();
    server.register('greet', () => new Promise<string>(() => {}));
    const outcome = call(client).catch((error: RpcError) => error.code);
    await vi.advanceTimersByTimeAsync(15_000);
    expect(await outcome).toBe(rpcErrorCodes.responseTimeout);
  });

  it('fails at once when the callee leaves', async () => {
    const { client, loop } = connected();
    loop.onPacket = () => {};
    const outcome = call(client).catch((error: RpcError) => error.code);
    client.participantLeft('somebody else');
    client.participantLeft('callee');
    expect(await outcome).toBe(rpcErrorCodes.recipientDisconnected);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ignores answers that nobody waits for', () => {
    const { client } = connected();
    expect(() => {
      client.handleAck('unknown');
      client.handleResponse(new RpcResponse({ requestId: 'unknown' }));
    }).not.toThrow();
  });
});
