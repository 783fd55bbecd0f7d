import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ByteStreamReader, safeFileName, TextStreamReader } from '../../data/index.js';
import { describeError } from '../../errors/index.js';
import type { Context } from '../context.js';
import type { Handler } from '../handler.js';
import type { EventInit } from '../outbox.js';
import type { Owed } from '../wire.js';

/** How a reader's events are named, and what a chunk looks like. */
type ReaderEvent<Piece> = (
  detail: { case: 'chunkReceived'; value: { content: Piece } } | { case: 'eos'; value: Eos },
) => EventInit;

interface Eos {
  error?: { description: string };
  attributes: Record<string, string>;
}

async function readOn<Piece>(
  reader: AsyncIterable<Piece> & { attributes: Readonly<Record<string, string>> },
  owed: Owed,
  event: ReaderEvent<Piece>,
  { outbox, untilTaken }: Context,
): Promise<void> {
  const opened = outbox.open(owed);
  let error: Eos['error'];
  try {
    for await (const content of reader) {
      outbox.emit(event({ case: 'chunkReceived', value: { content } }));
      // Meanwhile chunks wait in the reader, whose room bounds them.
      const taken = untilTaken();
      if (taken) await taken;
    }
  } catch (cause) {
    error = { description: describeError(cause) };
  }
  outbox.close(opened);
  outbox.emit(event({ case: 'eos', value: { error, attributes: { ...reader.attributes } } }));
}

export const byteReadIncremental: Handler<'byteReadIncremental'> = ({ readerHandle = 0n }, context) => {
  const reader = context.handles.take(readerHandle, ByteStreamReader);
  void readOn<Uint8Array>(
    reader,
    { reader: 'byteStreamReaderEvent', readerHandle },
    (detail) => ({ case: 'byteStreamReaderEvent', value: { readerHandle, detail } }),
    context,
  );
  return {};
};

export const textReadIncremental: Handler<'textReadIncremental'> = ({ readerHandle = 0n }, context) => {
  const reader = context.handles.take(readerHandle, TextStreamReader);
  void readOn<string>(
    reader,
    { reader: 'textStreamReaderEvent', readerHandle },
    (detail) => ({ case: 'textStreamReaderEvent', value: { readerHandle, detail } }),
    context,
  );
  return {};
};

export const byteReadAll: Handler<'byteReadAll'> = ({ readerHandle, requestAsyncId }, context) => {
  const reader = context.handles.take(readerHandle, ByteStreamReader);
  return context.call('byteStreamReaderReadAll', requestAsyncId, async () => ({
    result: { case: 'content' as const, value: await reader.readAll() },
  }));
};

export const textReadAll: Handler<'textReadAll'> = ({ readerHandle, requestAsyncId }, context) => {
  const reader = context.handles.take(readerHandle, TextStreamReader);
  return context.call('textStreamReaderReadAll', requestAsyncId, async () => ({
    result: { case: 'content' as const, value: await reader.readAll() },
  }));
};

export const byteWriteToFile: Handler<'byteWriteToFile'> = (request, context) => {
  const reader = context.handles.take(request.readerHandle, ByteStreamReader);
  return context.call('byteStreamReaderWriteToFile', request.requestAsyncId, async () => {
    const { name: sentName, streamId } = reader.info;
    const name = request.nameOverride ?? safeFileName(sentName, streamId);
    const path = join(request.directory ?? tmpdir(), name);
    const file = await open(path, 'w');
    try {
      for await (const bytes of reader) await file.write(bytes);
    } finally {
      await file.close();
    }
    return { result: { case: 'filePath' as const, value: path } };
  });
};
