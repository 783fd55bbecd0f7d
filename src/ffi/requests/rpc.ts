import { RpcError } from '../../data/index.js';
import type { Handler } from '../handler.js';
import { FfiParticipant } from '../objects/ffi-participant.js';

export const performRpc: Handler<'performRpc'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('performRpc', request.requestAsyncId, async () => ({
    payload: await local.performRpc({
      destinationIdentity: request.destinationIdentity ?? '',
      method: request.method ?? '',
      payload: request.payload ?? '',
      responseTimeoutMs: request.responseTimeoutMs,
      maxRoundTripLatencyMs: request.maxRoundTripLatencyMs,
    }),
  }));
};

export const registerRpcMethod: Handler<'registerRpcMethod'> = (
  { localParticipantHandle, method = '' },
  { handles },
) => {
  const { room, local } = handles.get(localParticipantHandle, FfiParticipant);
  local.registerRpcMethod(method, (invocation) => room.invokeRpc(method, invocation));
  return {};
};

export const unregisterRpcMethod: Handler<'unregisterRpcMethod'> = (
  { localParticipantHandle, method = '' },
  { handles },
) => {
  handles.get(localParticipantHandle, FfiParticipant).local.unregisterRpcMethod(method);
  return {};
};

export const rpcMethodInvocationResponse: Handler<'rpcMethodInvocationResponse'> = (request, { handles }) => {
  const { room } = handles.get(request.localParticipantHandle, FfiParticipant);
  const waiter = room.takeRpcWaiter(request.invocationId);
  const { error, payload } = request;
  if (error) waiter.reject(new RpcError(error.code ?? 0, error.message ?? '', error.data));
  else waiter.resolve(payload ?? '');
  return {};
};
