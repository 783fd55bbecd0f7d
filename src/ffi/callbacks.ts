import { RpcError } from '../data/index.js';
import { describeError } from '../errors/index.js';
import type { CallbackCase } from './messages.js';

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
  publishDataTrack: nothing,
  simulateScenario: text,
  defineSchema: text,
  getSchema: text,
};
