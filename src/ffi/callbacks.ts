import { DataTrackError, type DataTrackFailure, RpcError } from '../data/index.js';
import { describeError, type ErrorCode, OffhookError } from '../errors/index.js';
import type { CallbackCase } from './messages.js';
import { PublishErrorCode } from './protocol.js';

const text = (error: unknown) => ({ error: describeError(error) });
const message = (error: unknown) => ({ message: { case: 'error', value: describeError(error) } });
const streamError = (error: unknown) => ({ error: { description: describeError(error) } });
const streamResult = (error: unknown) => ({
  result: { case: 'error', value: { description: describeError(error) } },
});
const rpcError = (error: unknown) => {
  const { code, message, data } =
    error instanceof RpcError ? error : RpcError.builtIn('sendFailed', describeError(error));
  return { error: { code, message, data } };
};
const dataTrackFailures: Partial<Record<ErrorCode, DataTrackFailure>> = {
  OFFHOOK_DEADLINE: 'timeout',
  OFFHOOK_CLOSED: 'disconnected',
};

export function failureOfDataTrack(error: unknown): { failure: DataTrackFailure; message: string } {
  if (error instanceof DataTrackError) return error;
  const known = error instanceof OffhookError ? dataTrackFailures[error.code] : undefined;
  return { failure: known ?? 'internal', message: describeError(error) };
}

const publishErrors: Partial<Record<DataTrackFailure, number>> = {
  duplicateName: PublishErrorCode.DUPLICATE_NAME,
  timeout: PublishErrorCode.TIMEOUT,
  disconnected: PublishErrorCode.DISCONNECTED,
  notAllowed: PublishErrorCode.NOT_ALLOWED,
  invalidName: PublishErrorCode.INVALID_NAME,
  limitReached: PublishErrorCode.LIMIT_REACHED,
  invalidSchema: PublishErrorCode.INVALID_SCHEMA,
};
const dataTrackError = (error: unknown) => {
  const { failure, message } = failureOfDataTrack(error);
  const code = publishErrors[failure] ?? PublishErrorCode.INTERNAL;
  return { result: { case: 'error', value: { code, message } } };
};
const nothing = () => ({});

/** How each callback says that its request failed. */
export const failureOf: Record<CallbackCase, (error: unknown) => object> = {
  connect: message,
  disconnect: nothing,
  dispose: nothing,
  publishTrack: message,
  unpublishTrack: text,
  publishData: text,
  publishTranscription: text,
  captureAudioFrame: text,
  setLocalMetadata: text,
  setLocalName: text,
  setLocalAttributes: text,
  getStats: text,
  getSessionStats: message,
  publishSipDtmf: text,
  chatMessage: message,
  performRpc: rpcError,
  sendStreamHeader: text,
  sendStreamChunk: text,
  sendStreamTrailer: text,
  byteStreamReaderReadAll: streamResult,
  byteStreamReaderWriteToFile: streamResult,
  byteStreamOpen: streamResult,
  byteStreamWriterWrite: streamError,
  byteStreamWriterClose: streamError,
  sendFile: streamResult,
  textStreamReaderReadAll: streamResult,
  textStreamOpen: streamResult,
  textStreamWriterWrite: streamError,
  textStreamWriterClose: streamError,
  sendText: streamResult,
  sendBytes: streamResult,
  publishDataTrack: dataTrackError,
  simulateScenario: text,
  defineSchema: text,
  getSchema: text,
};
