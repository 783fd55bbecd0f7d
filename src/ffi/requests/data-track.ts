import type { DataTrackStreamEOS } from '@livekit/rtc-ffi-bindings/proto/data_track_pb.js';
import { DataTrackError } from '../../data/index.js';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { type DataTrackStream, LocalDataTrack, RemoteDataTrack } from '../../room/index.js';
import { failureOfDataTrack } from '../callbacks.js';
import type { Context } from '../context.js';
import { fromFfiFrameEncoding, fromFfiSchemaId, toFfiDataTrack } from '../conversion/data-track.js';
import type { Handler } from '../handler.js';
import type { InitOf } from '../messages.js';
import { FfiParticipant } from '../objects/ffi-participant.js';
import { PushErrorCode, SubscribeErrorCode } from '../protocol.js';

const log = createLogger('ffi');

export const publishDataTrack: Handler<'publishDataTrack'> = (request, context) => {
  const { handles } = context;
  const { local } = handles.get(request.localParticipantHandle, FfiParticipant);
  const { name = '', schema, frameEncoding } = request.options ?? {};
  return context.call('publishDataTrack', request.requestAsyncId, async () => {
    const track = await local.publishDataTrack({
      name,
      schema: schema && fromFfiSchemaId(schema),
      frameEncoding: frameEncoding && fromFfiFrameEncoding(frameEncoding),
    });
    const id = BigInt(handles.add(track, () => track.unpublish()));
    return {
      result: { case: 'track' as const, value: { handle: { id }, info: toFfiDataTrack(track.info) } },
    };
  });
};

/** Once for each frame. */
export const localDataTrackTryPush: Handler<'localDataTrackTryPush'> = (
  { trackHandle, frame },
  { handles },
) => {
  const track = handles.get(trackHandle, LocalDataTrack);
  const { payload = new Uint8Array(), userTimestamp } = frame ?? {};
  try {
    track.push({ payload, userTimestamp });
    return {};
  } catch (error) {
    if (!(error instanceof DataTrackError)) throw error;
    const { failure, message } = error;
    const code = { unpublished: PushErrorCode.TRACK_UNPUBLISHED, queueFull: PushErrorCode.QUEUE_FULL }[
      failure as string
    ];
    return { error: { code: code ?? PushErrorCode.INTERNAL, message } };
  }
};

export const localDataTrackUnpublish: Handler<'localDataTrackUnpublish'> = ({ trackHandle }, { handles }) => {
  handles.get(trackHandle, LocalDataTrack).unpublish();
  return {};
};

export const localDataTrackIsPublished: Handler<'localDataTrackIsPublished'> = (
  { trackHandle },
  { handles },
) => ({ isPublished: handles.get(trackHandle, LocalDataTrack).isPublished });

export const remoteDataTrackIsPublished: Handler<'remoteDataTrackIsPublished'> = (
  { trackHandle },
  { handles },
) => ({ isPublished: handles.get(trackHandle, RemoteDataTrack).isPublished });

export const remoteDataTrackSetPipelineOptions: Handler<'remoteDataTrackSetPipelineOptions'> = (
  { trackHandle, options },
  { handles },
) => {
  const track = handles.get(trackHandle, RemoteDataTrack);
  track.setMaxPartialFrames(options?.maxPartialFrames ?? 1);
  return {};
};

export const subscribeDataTrack: Handler<'subscribeDataTrack'> = ({ trackHandle, options }, context) => {
  const { handles } = context;
  const track = handles.get(trackHandle, RemoteDataTrack);
  const stream = new FfiDataTrackStream(context);
  const handle = handles.add(stream, () => stream.close());
  stream.open(handle, track.subscribe({ bufferFrames: options?.bufferSize }));
  return { stream: { handle: { id: BigInt(handle) } } };
};

export const dataTrackStreamRead: Handler<'dataTrackStreamRead'> = ({ streamHandle }, { handles }) => ({
  eosEvent: handles.get(streamHandle, FfiDataTrackStream).read(),
});

export const defineSchema: Handler<'defineSchema'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  const { schemaId, definition = '' } = request;
  return context.call('defineSchema', request.requestAsyncId, async () => {
    await local.defineSchema(fromFfiSchemaId(schemaId), definition);
    return {};
  });
};

export const getSchema: Handler<'getSchema'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  const { schemaId, participantIdentity = '' } = request;
  return context.call('getSchema', request.requestAsyncId, async () => ({
    definition: await local.getSchema(fromFfiSchemaId(schemaId), participantIdentity),
  }));
};

type End = InitOf<DataTrackStreamEOS>;

/** A stream that the program has a handle of from the first: it subscribes beside it, and reads frame by frame. */
class FfiDataTrackStream {
  readonly #context: Context;
  #handle = 0;
  #stream: DataTrackStream | undefined;
  /** The program is ready for a frame. */
  #isWanted = false;
  #isReading = false;
  #end: End | undefined;
  #isClosed = false;

  constructor(context: Context) {
    this.#context = context;
  }

  open(handle: number, subscribed: Promise<DataTrackStream>): void {
    this.#handle = handle;
    subscribed.then(
      (stream) => {
        if (this.#isClosed) {
          stream.close();
          return;
        }
        this.#stream = stream;
        void this.#readNext();
      },
      (error: unknown) => {
        log.warn(`cannot subscribe to a data track: ${describeError(error)}`);
        this.#context.library?.failed(BigInt(this.#handle), error);
        const { failure, message } = failureOfDataTrack(error);
        const code =
          {
            unpublished: SubscribeErrorCode.UNPUBLISHED,
            timeout: SubscribeErrorCode.TIMEOUT,
            disconnected: SubscribeErrorCode.DISCONNECTED,
          }[failure as string] ?? SubscribeErrorCode.INTERNAL;
        this.#over({ error: { code, message } });
      },
    );
  }

  /** The program wants one frame more. Returns how the stream has ended, where it has. */
  read(): End | undefined {
    if (this.#end) return this.#end;
    this.#isWanted = true;
    void this.#readNext();
    return undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#stream?.close();
  }

  async #readNext(): Promise<void> {
    while (this.#stream && this.#isWanted && !this.#isReading && !this.#end) {
      this.#isWanted = false;
      this.#isReading = true;
      const frame = await this.#stream.read();
      this.#isReading = false;
      if (frame) this.#emit({ case: 'frameReceived', value: { frame } });
      else this.#over({});
    }
  }

  #over(end: End): void {
    this.#end = end;
    this.#emit({ case: 'eos', value: end });
  }

  #emit(
    detail:
      | {
          case: 'frameReceived';
          value: { frame: { payload: Uint8Array; userTimestamp?: bigint | undefined } };
        }
      | { case: 'eos'; value: End },
  ): void {
    if (this.#isClosed) return;
    const value = { streamHandle: BigInt(this.#handle), detail };
    this.#context.outbox.emit({ case: 'dataTrackStreamEvent', value }, undefined, this.#handle);
  }
}
