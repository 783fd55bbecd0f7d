import {
  checkBytes,
  checkFlag,
  checkInteger,
  checkOptions,
  checkText,
  checkTextRecord,
  checkTexts,
  OffhookError,
} from '../errors/index.js';
import { LibraryEngine } from './engine.js';
import { Inbox } from './inbox.js';

/** The header of a stream. */
export interface StreamInfo {
  streamId: string;
  /** Milliseconds since 1970. */
  timestampMs: number;
  mimeType: string;
  topic: string;
  /** In bytes; undefined while the sender does not know it. */
  totalLength: number | undefined;
  attributes: Readonly<Record<string, string>>;
  /** End to end, by the key of the room. */
  isEncrypted: boolean;
}

export interface TextStreamInfo extends StreamInfo {
  replyToStreamId: string | undefined;
  attachedStreamIds: readonly string[];
  /** Whether the text was generated, e.g. transcribed by an agent. */
  generated: boolean;
}

export interface ByteStreamInfo extends StreamInfo {
  name: string;
}

/** Options of every stream that is sent. */
export interface StreamOptions {
  /** Default: none. */
  topic?: string;
  attributes?: Record<string, string>;
  /** Default: everybody. */
  destinationIdentities?: readonly string[];
  /** Default: a random one. */
  streamId?: string;
}

export interface TextStreamOptions extends StreamOptions {
  replyToStreamId?: string;
  attachedStreamIds?: readonly string[];
  generated?: boolean;
}

export interface ByteStreamOptions extends StreamOptions {
  /** Default `unknown`. */
  name?: string;
  /** Default `application/octet-stream`. */
  mimeType?: string;
  /** In bytes, when it is known before the end. */
  totalLength?: number;
}

const commonOptions = ['topic', 'attributes', 'destinationIdentities', 'streamId'];

function commonFields(what: string, options: StreamOptions) {
  const { topic = '', attributes = {}, destinationIdentities = [], streamId } = options;
  return {
    topic: checkText(`${what}: topic`, topic),
    attributes: checkTextRecord(`${what}: attributes`, attributes),
    destinationIdentities: checkTexts(`${what}: destinationIdentities`, destinationIdentities),
    ...(streamId === undefined ? {} : { id: checkText(`${what}: streamId`, streamId) }),
  };
}

export function textFields(what: string, options: TextStreamOptions) {
  checkOptions(what, options, [...commonOptions, 'replyToStreamId', 'attachedStreamIds', 'generated']);
  const { replyToStreamId, attachedStreamIds = [], generated } = options;
  return {
    ...commonFields(what, options),
    ...(replyToStreamId === undefined
      ? {}
      : { replyToStreamId: checkText('replyToStreamId', replyToStreamId) }),
    attachedStreamIds: checkTexts('attachedStreamIds', attachedStreamIds),
    ...(generated === undefined ? {} : { generated: checkFlag('generated', generated) }),
  };
}

export function byteFields(what: string, options: ByteStreamOptions) {
  checkOptions(what, options, [...commonOptions, 'name', 'mimeType', 'totalLength']);
  const { name, mimeType, totalLength } = options;
  return {
    ...commonFields(what, options),
    ...(name === undefined ? {} : { name: checkText('name', name) }),
    ...(mimeType === undefined ? {} : { mimeType: checkText('mimeType', mimeType) }),
    ...(totalLength === undefined
      ? {}
      : { totalLength: BigInt(checkInteger('totalLength', totalLength, 0, Number.MAX_SAFE_INTEGER)) }),
  };
}

interface FfiStreamInfo {
  streamId?: string;
  timestamp?: bigint;
  mimeType?: string;
  topic?: string;
  totalLength?: bigint;
  attributes?: Record<string, string>;
  encryptionType?: number;
}

function streamInfo(info: FfiStreamInfo | undefined): StreamInfo {
  return {
    streamId: info?.streamId ?? '',
    timestampMs: Number(info?.timestamp ?? 0),
    mimeType: info?.mimeType ?? '',
    topic: info?.topic ?? '',
    totalLength: info?.totalLength === undefined ? undefined : Number(info.totalLength),
    attributes: { ...info?.attributes },
    isEncrypted: (info?.encryptionType ?? 0) !== 0,
  };
}

export function textInfo(
  info:
    | (FfiStreamInfo & { replyToStreamId?: string; attachedStreamIds?: string[]; generated?: boolean })
    | undefined,
): TextStreamInfo {
  return {
    ...streamInfo(info),
    replyToStreamId: info?.replyToStreamId || undefined,
    attachedStreamIds: [...(info?.attachedStreamIds ?? [])],
    generated: info?.generated ?? false,
  };
}

export function byteInfo(info: (FfiStreamInfo & { name?: string }) | undefined): ByteStreamInfo {
  return { ...streamInfo(info), name: info?.name ?? '' };
}

/** The pieces of an incoming stream, as they come. Its attributes are complete once the stream has ended. */
export abstract class StreamReader<Piece> implements AsyncIterable<Piece> {
  /** @internal */
  protected readonly engine = LibraryEngine.shared;
  /** @internal */
  protected readonly handle: bigint;
  #isTaken = false;

  /** @internal */
  constructor(handle: bigint) {
    this.handle = handle;
    this.engine.dropWith(this, handle);
  }

  /**
   * The engine hands a stream over once: as a whole, or piece by piece.
   *
   * @internal
   */
  protected takeOnce(): void {
    if (this.#isTaken) {
      throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'the stream is already being read', {
        advice: 'Read a stream once: with readAll, or with one loop.',
      });
    }
    this.#isTaken = true;
  }

  /** @internal */
  protected abstract start(): void;

  /** The pieces in order. @throws OffhookError when the stream breaks off, or is being read already */
  async *[Symbol.asyncIterator](): AsyncGenerator<Piece, void, void> {
    this.takeOnce();
    const pieces = new Inbox<{ piece: Piece }>();
    this.engine.listen(this.handle, (message) => {
      if (message.case !== 'textStreamReaderEvent' && message.case !== 'byteStreamReaderEvent') return;
      const { detail } = message.value;
      if (detail.case === 'chunkReceived') pieces.push({ piece: detail.value.content as Piece });
      else if (detail.case === 'eos') pieces.end(detail.value.error && brokenOff(detail.value.error));
    });
    this.start();
    try {
      for (let next = await pieces.next(); next; next = await pieces.next()) yield next.piece;
    } finally {
      this.engine.drop(this.handle);
    }
  }
}

/** An incoming text stream. */
export class TextStreamReader extends StreamReader<string> {
  readonly info: TextStreamInfo;

  /** @internal */
  constructor(handle: bigint, info: TextStreamInfo) {
    super(handle);
    this.info = info;
  }

  /** The whole text. @throws OffhookError when the stream breaks off */
  async readAll(): Promise<string> {
    this.takeOnce();
    const { result } = await this.engine.call(
      'textReadAll',
      { readerHandle: this.handle },
      'textStreamReaderReadAll',
    );
    return contentOf(result);
  }

  /** @internal */
  protected override start(): void {
    this.engine.request('textReadIncremental', { readerHandle: this.handle });
  }
}

/** An incoming stream of bytes. */
export class ByteStreamReader extends StreamReader<Uint8Array> {
  readonly info: ByteStreamInfo;

  /** @internal */
  constructor(handle: bigint, info: ByteStreamInfo) {
    super(handle);
    this.info = info;
  }

  /** All bytes. @throws OffhookError when the stream breaks off */
  async readAll(): Promise<Uint8Array> {
    this.takeOnce();
    const { result } = await this.engine.call(
      'byteReadAll',
      { readerHandle: this.handle },
      'byteStreamReaderReadAll',
    );
    return contentOf(result);
  }

  /** @internal */
  protected override start(): void {
    this.engine.request('byteReadIncremental', { readerHandle: this.handle });
  }
}

function contentOf<Content>(
  result:
    | { case: 'content'; value: Content }
    | { case: 'error'; value: { description?: string } }
    | { case: undefined; value?: undefined },
): Content {
  if (result.case === 'content') return result.value;
  throw brokenOff(result.value);
}

function brokenOff(error: { description?: string } | undefined): OffhookError {
  return new OffhookError(
    'OFFHOOK_PROTOCOL',
    error?.description ?? 'the stream ended before it was complete',
  );
}

/** An outgoing text stream. */
export class TextStreamWriter {
  readonly info: TextStreamInfo;
  readonly #engine = LibraryEngine.shared;
  readonly #handle: bigint;

  /** @internal */
  constructor(handle: bigint, info: TextStreamInfo) {
    this.#handle = handle;
    this.info = info;
    this.#engine.dropWith(this, handle);
  }

  /** Resolves when the text is on its way. @throws OffhookError */
  async write(text: string): Promise<void> {
    checkText('text', text);
    await this.#engine.call('textStreamWrite', { writerHandle: this.#handle, text }, 'textStreamWriterWrite');
  }

  /** Ends the stream. */
  async close(): Promise<void> {
    await this.#engine.call('textStreamClose', { writerHandle: this.#handle }, 'textStreamWriterClose');
  }

  /** `await using` calls it: as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** An outgoing stream of bytes. */
export class ByteStreamWriter {
  readonly info: ByteStreamInfo;
  readonly #engine = LibraryEngine.shared;
  readonly #handle: bigint;

  /** @internal */
  constructor(handle: bigint, info: ByteStreamInfo) {
    this.#handle = handle;
    this.info = info;
    this.#engine.dropWith(this, handle);
  }

  /** Resolves when the bytes are on their way. @throws OffhookError */
  async write(bytes: Uint8Array): Promise<void> {
    checkBytes('bytes', bytes);
    await this.#engine.call(
      'byteStreamWrite',
      { writerHandle: this.#handle, bytes },
      'byteStreamWriterWrite',
    );
  }

  /** Ends the stream. */
  async close(): Promise<void> {
    await this.#engine.call('byteStreamClose', { writerHandle: this.#handle }, 'byteStreamWriterClose');
  }

  /** `await using` calls it: as `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
