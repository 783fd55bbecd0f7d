import { ByteStreamWriter, TextStreamWriter } from '../../data/index.js';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import {
  fromFfiByteOptions,
  fromFfiChunk,
  fromFfiHeader,
  fromFfiTextOptions,
  fromFfiTrailer,
  toFfiByteStream,
  toFfiTextStream,
} from '../conversion/data-stream.js';
import type { Handler } from '../handler.js';
import { FfiParticipant } from '../objects/ffi-participant.js';

const log = createLogger('ffi/streams');

export const sendText: Handler<'sendText'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('sendText', request.requestAsyncId, async () => {
    const info = await local.sendText(request.text ?? '', fromFfiTextOptions(request.options));
    return { result: { case: 'info' as const, value: toFfiTextStream(info) } };
  });
};

export const sendBytes: Handler<'sendBytes'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('sendBytes', request.requestAsyncId, async () => {
    const bytes = request.bytes ?? new Uint8Array(0);
    const info = await local.sendBytes(bytes, fromFfiByteOptions(request.options));
    return { result: { case: 'info' as const, value: toFfiByteStream(info) } };
  });
};

export const sendFile: Handler<'sendFile'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('sendFile', request.requestAsyncId, async () => {
    const info = await local.sendFile(request.filePath ?? '', fromFfiByteOptions(request.options));
    return { result: { case: 'info' as const, value: toFfiByteStream(info) } };
  });
};

/** A writer that the program lets go of has its stream ended, so that nobody waits for more of it. */
function closeQuietly(writer: TextStreamWriter | ByteStreamWriter): void {
  writer
    .close()
    .catch((error: unknown) =>
      log.debug(`cannot write to stream ${writer.info.streamId}: ${describeError(error)}`),
    );
}

export const textStreamOpen: Handler<'textStreamOpen'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('textStreamOpen', request.requestAsyncId, async () => {
    const writer = await local.streamText(fromFfiTextOptions(request.options));
    const handle = { id: BigInt(context.handles.add(writer, () => closeQuietly(writer))) };
    return { result: { case: 'writer' as const, value: { handle, info: toFfiTextStream(writer.info) } } };
  });
};

export const textStreamWrite: Handler<'textStreamWrite'> = (request, context) => {
  const writer = context.handles.get(request.writerHandle, TextStreamWriter);
  return context.call('textStreamWriterWrite', request.requestAsyncId, async () => {
    await writer.write(request.text ?? '');
    return {};
  });
};

export const textStreamClose: Handler<'textStreamClose'> = (request, context) => {
  const writer = context.handles.take(request.writerHandle, TextStreamWriter);
  return context.call('textStreamWriterClose', request.requestAsyncId, async () => {
    await writer.close({ reason: request.reason, attributes: request.attributes });
    return {};
  });
};

export const byteStreamOpen: Handler<'byteStreamOpen'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('byteStreamOpen', request.requestAsyncId, async () => {
    const writer = await local.streamBytes(fromFfiByteOptions(request.options));
    const handle = { id: BigInt(context.handles.add(writer, () => closeQuietly(writer))) };
    return { result: { case: 'writer' as const, value: { handle, info: toFfiByteStream(writer.info) } } };
  });
};

export const byteStreamWrite: Handler<'byteStreamWrite'> = (request, context) => {
  const writer = context.handles.get(request.writerHandle, ByteStreamWriter);
  return context.call('byteStreamWriterWrite', request.requestAsyncId, async () => {
    await writer.write(request.bytes ?? new Uint8Array(0));
    return {};
  });
};

export const byteStreamClose: Handler<'byteStreamClose'> = (request, context) => {
  const writer = context.handles.take(request.writerHandle, ByteStreamWriter);
  return context.call('byteStreamWriterClose', request.requestAsyncId, async () => {
    await writer.close({ reason: request.reason, attributes: request.attributes });
    return {};
  });
};

export const sendStreamHeader: Handler<'sendStreamHeader'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('sendStreamHeader', request.requestAsyncId, async () => {
    const value = fromFfiHeader(request.header!);
    await local.sendPacket({ case: 'streamHeader', value }, 'reliable', request);
    return {};
  });
};

export const sendStreamChunk: Handler<'sendStreamChunk'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('sendStreamChunk', request.requestAsyncId, async () => {
    const value = fromFfiChunk(request.chunk!);
    await local.sendPacket({ case: 'streamChunk', value }, 'reliable', request);
    return {};
  });
};

export const sendStreamTrailer: Handler<'sendStreamTrailer'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('sendStreamTrailer', request.requestAsyncId, async () => {
    const value = fromFfiTrailer(request.trailer!);
    await local.sendPacket({ case: 'streamTrailer', value }, 'reliable', request);
    return {};
  });
};
