import {
  type DataTrackFrameEncoding,
  type DataTrackInfo as DataTrackMessage,
  type DataTrackSchemaId,
  Encryption_Type,
  PublishDataTrackRequest,
  PublishDataTrackResponse,
  type RequestResponse,
  RequestResponse_Reason,
  UnpublishDataTrackRequest,
} from '@livekit/protocol';
import {
  checkTrackSchema,
  DataTrackError,
  type DataTrackFailure,
  type DataTrackFrame,
  FrameLane,
  isTrackHandle,
  type PacketChannel,
  type SealedTrackFrame,
  TrackPacketizer,
} from '../../data/index.js';
import { untilAborted, withDeadline } from '../../deadlines/index.js';
import { describeError, type OffhookError, outsideText } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { createLogger, type Logger } from '../../logging/index.js';
import { createDeferred, type Deferred } from '../deferred.js';
import type { RoomContext } from '../room-context.js';
import { type DataTrackInfo, toDataTrackInfo } from './data-track-info.js';

const log = createLogger('room/data-tracks');

export interface PublishDataTrackOptions {
  /** 1 to 256 characters, another one for each data track of a participant. */
  name: string;
  /** Needs `frameEncoding`. */
  schema?: DataTrackSchemaId | undefined;
  frameEncoding?: DataTrackFrameEncoding | undefined;
}

/** What a track needs of those of its room. */
interface TrackHost {
  send(packets: readonly Uint8Array[]): void;
  unpublish(track: LocalDataTrack): void;
  /** Undefined for a track that is not encrypted. */
  seal: ((frame: SealedTrackFrame) => Promise<SealedTrackFrame>) | undefined;
  random: () => number;
  log: Logger;
}

/** A data track that the program publishes. It is published again after a reconnect. */
export class LocalDataTrack {
  readonly #host: TrackHost;
  readonly #packetizer: TrackPacketizer;
  #info: DataTrackInfo;
  #state: 'published' | 'republishing' | 'unpublished' = 'published';
  /** Frames are encrypted one after another, so that they leave in order. */
  #sealing: Promise<void> = Promise.resolve();
  #unsealed = 0;

  constructor(info: DataTrackInfo, host: TrackHost) {
    this.#info = info;
    this.#host = host;
    this.#packetizer = new TrackPacketizer(info.handle, { random: host.random });
  }

  get info(): DataTrackInfo {
    return this.#info;
  }

  get isPublished(): boolean {
    return this.#state !== 'unpublished';
  }

  /**
   * Sends a frame to everybody who has subscribed. It may be lost on the way, and frames that come faster than the path
   * takes them are dropped, the oldest first.
   *
   * @throws DataTrackError `unpublished`; `queueFull` while the room reconnects; `internal` for a frame that is too long
   */
  push({ payload, userTimestamp }: DataTrackFrame): void {
    if (this.#state === 'unpublished') throw new DataTrackError('unpublished');
    const frame: SealedTrackFrame = { payload, userTimestamp, encryption: undefined };
    const { seal } = this.#host;
    if (this.#state === 'republishing' || this.#unsealed >= limits.unsealedDataTrackFrames.value)
      throw new DataTrackError('queueFull');
    if (!seal) {
      this.#host.send(this.#packetizer.packetize(frame));
      return;
    }
    frame.payload = Buffer.from(payload);
    this.#unsealed++;
    this.#sealing = this.#sealing.then(async () => {
      try {
        const sealed = await seal(frame);
        if (this.#state === 'published') this.#host.send(this.#packetizer.packetize(sealed));
      } catch (error) {
        this.#host.log.warn(`a frame of data track ${this.#info.name} is dropped: ${describeError(error)}`);
      } finally {
        this.#unsealed--;
      }
    });
  }

  unpublish(): void {
    if (this.#state !== 'unpublished') this.#host.unpublish(this);
  }

  /** For `LocalDataTracks`. */
  get isAwaited(): boolean {
    return this.#state === 'republishing';
  }

  /** For `LocalDataTracks`: the session is gone. */
  suspend(): void {
    if (this.#state === 'published') this.#state = 'republishing';
  }

  /** For `LocalDataTracks`: a new session has the track. */
  republished(info: DataTrackInfo): void {
    this.#info = info;
    this.#state = 'published';
  }

  /** For `LocalDataTracks`. */
  ended(): void {
    this.#state = 'unpublished';
  }
}

interface Pending {
  request: PublishDataTrackRequest;
  answer: Deferred<DataTrackInfo>;
}

/** The data tracks that the program publishes, through all sessions of its room. */
export class LocalDataTracks {
  readonly #context: RoomContext;
  readonly #log: Logger;
  readonly #lane = new FrameLane();
  #lastHandle = 0;
  /** By handle, as the maps below. */
  readonly #pending = new Map<number, Pending>();
  readonly #tracks = new Map<number, LocalDataTrack>();
  /** What the server has not confirmed yet to be unpublished. */
  readonly #leaving = new Set<number>();

  constructor(context: RoomContext) {
    this.#context = context;
    this.#log = log.about(context.subject);
  }

  /**
   * Resolves when the server has taken the track.
   *
   * @throws DataTrackError, OffhookError `OFFHOOK_DEADLINE`, `OFFHOOK_CLOSED`
   */
  async publish({ name, schema, frameEncoding }: PublishDataTrackOptions): Promise<LocalDataTrack> {
    checkTrackSchema(frameEncoding, schema);
    const pubHandle = ++this.#lastHandle;
    if (!isTrackHandle(pubHandle)) throw new DataTrackError('limitReached');
    const encryption = this.#context.encryption?.isEnabled ? Encryption_Type.GCM : Encryption_Type.NONE;
    const request = new PublishDataTrackRequest({
      pubHandle,
      name,
      encryption,
      ...(schema && { schema }),
      ...(frameEncoding && { frameEncoding }),
    });
    const pending: Pending = { request, answer: createDeferred() };
    const info = await withDeadline(
      {
        stage: 'publish',
        timeoutMs: this.#context.requests.timeoutMs,
        what: `publishing data track ${name}`,
        advice: 'A server that does not know data tracks never answers.',
      },
      async (signal) => {
        const session = await this.#context.connection.whenConnected(signal);
        this.#pending.set(pubHandle, pending);
        session.send({ case: 'publishDataTrackRequest', value: request });
        return untilAborted(pending.answer.promise, signal);
      },
    ).finally(() => this.#pending.delete(pubHandle));
    const { dataEncryption, random } = this.#context;
    const track = new LocalDataTrack(info, {
      send: (packets) => this.#lane.send(packets),
      unpublish: (leaving) => this.#unpublish(leaving),
      seal: info.isEncrypted && dataEncryption ? (frame) => dataEncryption.sealFrame(frame) : undefined,
      random,
      log: this.#log,
    });
    this.#tracks.set(pubHandle, track);
    return track;
  }

  /** For SyncState. */
  publishedTracks(): PublishDataTrackResponse[] {
    return [...this.#tracks.values()].map(({ info }) => {
      const { sid, name, handle: pubHandle, isEncrypted, schema, frameEncoding } = info;
      return new PublishDataTrackResponse({
        info: {
          sid,
          name,
          pubHandle,
          encryption: isEncrypted ? Encryption_Type.GCM : Encryption_Type.NONE,
          ...(schema && { schema }),
          ...(frameEncoding && { frameEncoding }),
        },
      });
    });
  }

  handlePublished(message: DataTrackMessage | undefined): void {
    const info = message && toDataTrackInfo(message);
    if (!info) {
      this.#log.warn('the server announced a data track of ours without its description');
      return;
    }
    const track = this.#tracks.get(info.handle);
    const pending = this.#pending.get(info.handle);
    if (pending) pending.answer.resolve(info);
    else if (track?.isAwaited) track.republished(info);
    // The answer came after the deadline of the publish: the program has no track of it.
    else if (!track) this.#sendUnpublish(info.handle);
  }

  /** The server has ended a track, or does not have it. */
  handleUnpublished({ pubHandle: handle }: { pubHandle: number }): void {
    this.#leaving.delete(handle);
    this.#end(handle);
  }

  /** The server refuses to publish a track. */
  handleRefused({ pubHandle }: PublishDataTrackRequest, response: RequestResponse): void {
    const error = refusal(response);
    this.#pending.get(pubHandle)?.answer.reject(error);
    const track = this.#tracks.get(pubHandle);
    if (!track?.isAwaited) return;
    this.#log.error(`data track ${track.info.name} could not be published again: ${error.message}`);
    this.#end(pubHandle);
  }

  open(channel: PacketChannel): void {
    this.#lane.open(channel);
  }

  /** The session is gone. */
  suspend(): void {
    this.#lane.suspend();
    for (const track of this.#tracks.values()) track.suspend();
  }

  /** The session was taken up again. Answers may have been lost with the signal connection. */
  resumed(): void {
    for (const handle of this.#leaving) this.#sendUnpublish(handle);
    const unanswered = this.#requests(({ isAwaited }) => isAwaited);
    for (const value of unanswered) {
      // The server may have published it already, and would refuse to do so twice.
      this.#sendUnpublish(value.pubHandle);
      this.#context.connection.send({ case: 'publishDataTrackRequest', value });
    }
  }

  /** A new session took the place of the one that was lost. */
  rejoined(): void {
    this.#leaving.clear();
    for (const value of this.#requests(() => true))
      this.#context.connection.send({ case: 'publishDataTrackRequest', value });
  }

  close(error: OffhookError): void {
    this.#lane.suspend();
    for (const { answer } of this.#pending.values()) answer.reject(error);
    for (const handle of [...this.#tracks.keys()]) this.#end(handle);
  }

  #requests(isWanted: (track: LocalDataTrack) => boolean): PublishDataTrackRequest[] {
    const tracks = [...this.#tracks.values()].filter(isWanted).map(({ info }) => {
      const { name, handle: pubHandle, isEncrypted, schema, frameEncoding } = info;
      return new PublishDataTrackRequest({
        pubHandle,
        name,
        encryption: isEncrypted ? Encryption_Type.GCM : Encryption_Type.NONE,
        ...(schema && { schema }),
        ...(frameEncoding && { frameEncoding }),
      });
    });
    return [...tracks, ...[...this.#pending.values()].map(({ request }) => request)];
  }

  #unpublish({ info: { handle } }: LocalDataTrack): void {
    this.#end(handle);
    this.#leaving.add(handle);
    this.#sendUnpublish(handle);
  }

  #sendUnpublish(pubHandle: number): void {
    const value = new UnpublishDataTrackRequest({ pubHandle });
    this.#context.connection.send({ case: 'unpublishDataTrackRequest', value });
  }

  #end(handle: number): void {
    this.#tracks.get(handle)?.ended();
    this.#tracks.delete(handle);
  }
}

const failures: Partial<Record<RequestResponse_Reason, DataTrackFailure>> = {
  [RequestResponse_Reason.NOT_ALLOWED]: 'notAllowed',
  [RequestResponse_Reason.DUPLICATE_NAME]: 'duplicateName',
  [RequestResponse_Reason.INVALID_NAME]: 'invalidName',
  [RequestResponse_Reason.LIMIT_EXCEEDED]: 'limitReached',
};

function refusal({ reason, message }: RequestResponse): DataTrackError {
  const failure = failures[reason];
  if (failure) return new DataTrackError(failure);
  const name = RequestResponse_Reason[reason] ?? String(reason);
  return new DataTrackError('internal', `the server refused: ${name}, ${outsideText(message)}`);
}
