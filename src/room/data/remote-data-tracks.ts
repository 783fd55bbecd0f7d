import {
  type DataTrackSubscriberHandles,
  type ParticipantInfo as ParticipantMessage,
  UpdateDataSubscription,
} from '@livekit/protocol';
import {
  DataTrackError,
  type DataTrackFrame,
  readTrackPacket,
  type SealedTrackFrame,
  TrackDepacketizer,
  type TrackPacket,
} from '../../data/index.js';
import { untilAborted, withDeadline } from '../../deadlines/index.js';
import { describeError, type OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { createLogger, type Logger } from '../../logging/index.js';
import { createDeferred, type Deferred } from '../deferred.js';
import type { RoomContext } from '../room-context.js';
import { type DataTrackInfo, isSameDataTrack, toDataTrackInfo } from './data-track-info.js';

const log = createLogger('room/data-tracks');
const defaultBufferFrames = 16;

export interface DataTrackStreamOptions {
  /** Frames that wait for a reader; a further one drops the oldest. Default 16. */
  bufferFrames?: number | undefined;
}

/** The frames of a data track as they come, until the track or the stream ends. */
export class DataTrackStream implements AsyncIterable<DataTrackFrame> {
  readonly #bufferFrames: number;
  readonly #onClose: () => void;
  #frames: DataTrackFrame[] = [];
  #reader: Deferred<DataTrackFrame | undefined> | undefined;
  #isOver = false;

  constructor(bufferFrames: number, onClose: () => void) {
    this.#bufferFrames = Math.max(1, bufferFrames);
    this.#onClose = onClose;
  }

  /** The next frame; undefined when there is none any more. One reader at a time. */
  async read(): Promise<DataTrackFrame | undefined> {
    const frame = this.#frames.shift();
    if (frame || this.#isOver) return frame;
    this.#reader ??= createDeferred();
    return this.#reader.promise;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<DataTrackFrame> {
    try {
      for (let frame = await this.read(); frame; frame = await this.read()) yield frame;
    } finally {
      this.close();
    }
  }

  /** Ends the stream; the last one of a track ends its subscription. */
  close(): void {
    if (this.#isOver) return;
    this.#frames = [];
    this.end();
    this.#onClose();
  }

  /** For `RemoteDataTrack`. */
  push(frame: DataTrackFrame): void {
    if (this.#reader) {
      this.#reader.resolve(frame);
      this.#reader = undefined;
      return;
    }
    this.#frames.push(frame);
    if (this.#frames.length > this.#bufferFrames) this.#frames.shift();
  }

  /** For `RemoteDataTrack`: nothing comes after what waits. */
  end(): void {
    this.#isOver = true;
    this.#reader?.resolve(undefined);
    this.#reader = undefined;
  }
}

/** What a track needs of those of its room. */
interface TrackHost {
  setSubscribed(track: RemoteDataTrack, subscribe: boolean): void;
  subscribeTimeoutMs: number;
  /** Undefined for a room without encryption. */
  open: ((frame: SealedTrackFrame, identity: string) => Promise<SealedTrackFrame | undefined>) | undefined;
  log: Logger;
}

/** A data track of another participant. */
export class RemoteDataTrack {
  readonly publisherIdentity: string;
  readonly #host: TrackHost;
  readonly #depacketizer: TrackDepacketizer;
  #info: DataTrackInfo;
  #isPublished = true;
  /** Calls of `subscribe` that wait for the subscription to begin. */
  readonly #waiters = new Set<Deferred<void>>();
  readonly #streams = new Set<DataTrackStream>();
  /** Frames are decrypted one after another, so that they arrive in order. */
  #opening: Promise<void> = Promise.resolve();
  #unopened = 0;
  #hasWarned = false;
  /** Its packets come under this; undefined while it is not subscribed to. */
  subscriberHandle: number | undefined;

  constructor(info: DataTrackInfo, publisherIdentity: string, host: TrackHost) {
    this.#info = info;
    this.publisherIdentity = publisherIdentity;
    this.#host = host;
    this.#depacketizer = new TrackDepacketizer((reason) =>
      host.log.debug(`data track ${info.name}: ${reason}`),
    );
  }

  get info(): DataTrackInfo {
    return this.#info;
  }

  get isPublished(): boolean {
    return this.#isPublished;
  }

  /** Frames of this track that are put together at once, 1 by default: more where packets overtake each other. */
  setMaxPartialFrames(frames: number): void {
    this.#depacketizer.maxPartialFrames = Math.max(1, frames);
  }

  /**
   * Resolves with a stream of frames when the server has begun to send. A track may have several streams.
   *
   * @throws DataTrackError `unpublished`; OffhookError `OFFHOOK_DEADLINE`, `OFFHOOK_CLOSED`
   */
  async subscribe({
    bufferFrames = defaultBufferFrames,
  }: DataTrackStreamOptions = {}): Promise<DataTrackStream> {
    if (!this.#isPublished) throw new DataTrackError('unpublished');
    if (this.subscriberHandle === undefined) await this.#begin();
    const stream = new DataTrackStream(bufferFrames, () => {
      this.#streams.delete(stream);
      this.#endUnused();
    });
    this.#streams.add(stream);
    return stream;
  }

  /** For `RemoteDataTracks`. */
  get isWanted(): boolean {
    return this.#waiters.size > 0 || this.subscriberHandle !== undefined;
  }

  /** For `RemoteDataTracks`: its publisher has another session. */
  reassign(info: DataTrackInfo): void {
    this.#info = info;
  }

  /** For `RemoteDataTracks`: the server sends its packets under this handle. */
  begun(handle: number): void {
    this.subscriberHandle = handle;
    for (const waiter of this.#waiters) waiter.resolve();
    this.#waiters.clear();
  }

  /** For `RemoteDataTracks`. Once for each packet. */
  receive(packet: TrackPacket): void {
    const frame = this.#depacketizer.push(packet);
    if (!frame) return;
    if (!this.#info.isEncrypted) {
      this.#deliver(frame);
      return;
    }
    const { open } = this.#host;
    if (!open || this.#unopened >= limits.unsealedDataTrackFrames.value) {
      this.#warn(
        open ? 'they come faster than they can be decrypted' : 'they are encrypted, the room is not',
      );
      return;
    }
    this.#unopened++;
    this.#opening = this.#opening.then(async () => {
      const opened = await open(frame, this.publisherIdentity);
      this.#unopened--;
      if (opened) this.#deliver(opened);
    });
  }

  /** For `RemoteDataTracks`: it is not published any more. */
  ended(error: Error): void {
    this.#isPublished = false;
    this.subscriberHandle = undefined;
    for (const waiter of this.#waiters) waiter.reject(error);
    this.#waiters.clear();
    for (const stream of this.#streams) stream.end();
    this.#streams.clear();
  }

  async #begin(): Promise<void> {
    const waiter = createDeferred<void>();
    if (this.#waiters.size === 0) this.#host.setSubscribed(this, true);
    this.#waiters.add(waiter);
    await withDeadline(
      {
        stage: 'request',
        timeoutMs: this.#host.subscribeTimeoutMs,
        what: `subscribing to data track ${this.#info.name}`,
        advice: 'The token may lack the canSubscribe grant, or the publisher may not let us subscribe.',
      },
      (signal) => untilAborted(waiter.promise, signal),
    ).finally(() => {
      if (this.#waiters.delete(waiter)) this.#endUnused();
    });
  }

  #endUnused(): void {
    if (this.#streams.size > 0 || this.#waiters.size > 0 || !this.#isPublished) return;
    this.#host.setSubscribed(this, false);
    this.subscriberHandle = undefined;
  }

  #deliver({ payload, userTimestamp }: SealedTrackFrame): void {
    const frame = { payload, userTimestamp };
    for (const stream of this.#streams) stream.push(frame);
  }

  #warn(why: string): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#host.log.warn(`frames of data track ${this.#info.name} are dropped: ${why}`);
  }
}

/** The data tracks of others, through all sessions of a room. */
export class RemoteDataTracks {
  readonly #context: RoomContext;
  readonly #trackHost: TrackHost;
  readonly #log: Logger;
  readonly #bySid = new Map<string, RemoteDataTrack>();
  readonly #byHandle = new Map<number, RemoteDataTrack>();
  readonly #byPublisher = new Map<string, Set<RemoteDataTrack>>();

  constructor(context: RoomContext) {
    this.#context = context;
    this.#log = log.about(context.subject);
    const { dataEncryption } = context;
    this.#trackHost = {
      setSubscribed: (track, subscribe) => this.#setSubscribed(track, subscribe),
      subscribeTimeoutMs: context.requests.timeoutMs,
      open: dataEncryption && ((frame, identity) => dataEncryption.openFrame(frame, identity)),
      log: this.#log,
    };
  }

  /** By sid. */
  get all(): ReadonlyMap<string, RemoteDataTrack> {
    return this.#bySid;
  }

  /** The server names all data tracks of a participant. */
  update({ identity, dataTracks }: ParticipantMessage): void {
    const before = this.#byPublisher.get(identity) ?? new Set();
    if (dataTracks.length === 0 && before.size === 0) return;
    const published: RemoteDataTrack[] = [];
    const named = new Set<RemoteDataTrack>();
    for (const message of dataTracks) {
      const info = toDataTrackInfo(message);
      if (!info) {
        this.#log.warn(`a data track of ${identity} is ignored: its description is incomplete`);
        continue;
      }
      const known = this.#bySid.get(info.sid) ?? this.#republished(before, info);
      if (known) {
        named.add(known);
        continue;
      }
      const track = this.#add(info, identity);
      if (track) published.push(track);
    }
    for (const track of before) if (!named.has(track) && !published.includes(track)) this.#remove(track);
    for (const track of published) this.#context.emit({ type: 'dataTrackPublished', track });
  }

  participantLeft(identity: string): void {
    for (const track of this.#byPublisher.get(identity) ?? []) this.#remove(track);
  }

  /** The server names the handles of what we have subscribed to. */
  handleHandles({ subHandles }: DataTrackSubscriberHandles): void {
    for (const [key, { trackSid }] of Object.entries(subHandles)) {
      const track = this.#bySid.get(trackSid);
      if (!track?.isWanted) continue;
      const handle = Number(key);
      if (track.subscriberHandle !== undefined) this.#byHandle.delete(track.subscriberHandle);
      this.#byHandle.set(handle, track);
      track.begun(handle);
    }
  }

  /** Once for each packet. */
  handlePacket(bytes: Uint8Array): void {
    try {
      const packet = readTrackPacket(bytes);
      this.#byHandle.get(packet.handle)?.receive(packet);
    } catch (error) {
      this.#log.warn(describeError(error));
    }
  }

  /** The session was taken up again: the server's answers may have been lost with the signal connection. */
  resumed(): void {
    for (const track of this.#bySid.values()) {
      if (!track.isWanted || track.subscriberHandle !== undefined) continue;
      this.#send(track, false);
      this.#send(track, true);
    }
  }

  /** A new session took the place of the one that was lost: it has no subscriptions. */
  rejoined(): void {
    this.#byHandle.clear();
    for (const track of this.#bySid.values()) if (track.isWanted) this.#send(track, true);
  }

  close(error: OffhookError): void {
    for (const track of this.#bySid.values()) track.ended(error);
    this.#bySid.clear();
    this.#byHandle.clear();
    this.#byPublisher.clear();
  }

  /** A track of before that its publisher has published again, under another sid. */
  #republished(before: Iterable<RemoteDataTrack>, info: DataTrackInfo): RemoteDataTrack | undefined {
    for (const track of before) {
      if (!isSameDataTrack(track.info, info)) continue;
      this.#bySid.delete(track.info.sid);
      track.reassign(info);
      this.#bySid.set(info.sid, track);
      if (track.isWanted) this.#send(track, true);
      return track;
    }
    return undefined;
  }

  #add(info: DataTrackInfo, identity: string): RemoteDataTrack | undefined {
    if (this.#bySid.size >= limits.dataTracks.value) {
      this.#log.warn(`data track ${info.name} of ${identity} is ignored: there are too many`);
      return undefined;
    }
    const track = new RemoteDataTrack(info, identity, this.#trackHost);
    this.#bySid.set(info.sid, track);
    const tracks = this.#byPublisher.get(identity) ?? new Set();
    this.#byPublisher.set(identity, tracks.add(track));
    return track;
  }

  #remove(track: RemoteDataTrack): void {
    const { sid } = track.info;
    this.#bySid.delete(sid);
    if (track.subscriberHandle !== undefined) this.#byHandle.delete(track.subscriberHandle);
    const tracks = this.#byPublisher.get(track.publisherIdentity);
    tracks?.delete(track);
    if (tracks?.size === 0) this.#byPublisher.delete(track.publisherIdentity);
    track.ended(new DataTrackError('unpublished'));
    this.#context.emit({ type: 'dataTrackUnpublished', sid });
  }

  #setSubscribed(track: RemoteDataTrack, subscribe: boolean): void {
    if (!subscribe && track.subscriberHandle !== undefined) this.#byHandle.delete(track.subscriberHandle);
    this.#send(track, subscribe);
  }

  #send({ info: { sid: trackSid } }: RemoteDataTrack, subscribe: boolean): void {
    const value = new UpdateDataSubscription({ updates: [{ trackSid, subscribe }] });
    this.#context.connection.send({ case: 'updateDataSubscription', value });
  }
}
