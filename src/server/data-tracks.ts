import {
  type DataBlob,
  DataTrackInfo,
  DataTrackSubscriberHandles,
  type PublishDataTrackRequest,
  PublishDataTrackResponse,
  RequestResponse_Reason as Reason,
  UnpublishDataTrackResponse,
} from '@livekit/protocol';
import { isTrackHandle, readTrackHandle, startsFrame, withTrackHandle } from '../data/index.js';
import { createLogger } from '../logging/index.js';
import { newSid } from './ids.js';
import { limits } from './limits.js';
import type { Participant } from './participant.js';
import { isPermitted } from './subscription.js';

const log = createLogger('server/data-tracks');

/** A data track on its way to one subscriber. */
interface Subscription {
  subscriber: Participant;
  handle: number;
  /** What is left of a frame that began while the subscriber had too much unread. */
  isDropping: boolean;
}

interface UpDataTrack {
  publisher: Participant;
  info: DataTrackInfo;
  /** By sid of the subscriber. */
  subscriptions: Map<string, Subscription>;
}

/** What one participant has of data tracks: those that it publishes, and those that it wants. */
export class ParticipantDataTracks {
  /** By the publisher's handle. */
  readonly published = new Map<number, UpDataTrack>();
  /** Sids of published tracks that it wants to receive, whether it may or not. */
  readonly wanted = new Set<string>();
  /** Sids by the handles under which it receives them. */
  readonly handles = new Map<number, string>();
  /** Definitions of schemas and the like that others may read, by key. */
  readonly blobs = new Map<string, DataBlob>();
  #lastHandle = 0;

  infos(): DataTrackInfo[] {
    return [...this.published.values()].map(({ info }) => info);
  }

  /** A handle that names no track of the participant now; undefined when all do. */
  nextHandle(): number | undefined {
    for (let tried = 0; tried < 0xffff; tried++) {
      this.#lastHandle = (this.#lastHandle % 0xffff) + 1;
      if (!this.handles.has(this.#lastHandle)) return this.#lastHandle;
    }
    return undefined;
  }
}

/** Why a track is not published. */
export interface Refusal {
  reason: Reason;
  message: string;
}

/** The data tracks of a room: who publishes them, who gets them, and their packets. */
export class DataTracks {
  /** By sid. */
  readonly #tracks = new Map<string, UpDataTrack>();

  /** Publishes a track, or says why not. The caller announces it. */
  publish(publisher: Participant, request: PublishDataTrackRequest): Refusal | undefined {
    const refusal = refusalOf(publisher, request);
    if (refusal) return refusal;
    const { pubHandle, name, encryption, frameEncoding, schema } = request;
    const info = new DataTrackInfo({
      sid: newSid('DTR'),
      pubHandle,
      name,
      encryption,
      ...(frameEncoding && { frameEncoding }),
      ...(schema && { schema }),
    });
    const track: UpDataTrack = { publisher, info, subscriptions: new Map() };
    publisher.dataTracks.published.set(pubHandle, track);
    this.#tracks.set(info.sid, track);
    log.about(publisher.subject).debug(`published data track ${info.sid} (${name})`);
    const value = new PublishDataTrackResponse({ info });
    publisher.send({ case: 'publishDataTrackResponse', value });
    return undefined;
  }

  /** Ends a track. Returns false when there is none of that handle. The caller announces it. */
  unpublish(publisher: Participant, handle: number): boolean {
    const track = publisher.dataTracks.published.get(handle);
    if (!track) return false;
    const { info, subscriptions } = track;
    publisher.dataTracks.published.delete(handle);
    this.#tracks.delete(info.sid);
    for (const { subscriber, handle: subscribed } of subscriptions.values()) {
      subscriber.dataTracks.wanted.delete(info.sid);
      subscriber.dataTracks.handles.delete(subscribed);
    }
    const value = new UnpublishDataTrackResponse({ info });
    publisher.send({ case: 'unpublishDataTrackResponse', value });
    return true;
  }

  /** Notes whether a participant wants a track that exists. `settle` then begins or ends its subscription. */
  want(subscriber: Participant, sid: string, wanted: boolean): void {
    if (!wanted) subscriber.dataTracks.wanted.delete(sid);
    else if (this.#tracks.has(sid)) subscriber.dataTracks.wanted.add(sid);
  }

  /** Begins and ends the subscriptions of a participant as it wants and may, and tells it under which handles. */
  settle(subscriber: Participant, { announce = false } = {}): void {
    const { wanted, handles } = subscriber.dataTracks;
    let changed = announce;
    for (const [handle, sid] of handles) {
      const track = this.#tracks.get(sid);
      if (track && wanted.has(sid) && mayReceive(subscriber, track)) continue;
      handles.delete(handle);
      track?.subscriptions.delete(subscriber.sid);
      changed = true;
    }
    for (const sid of wanted) {
      const track = this.#tracks.get(sid);
      if (!track || track.subscriptions.has(subscriber.sid) || !mayReceive(subscriber, track)) continue;
      const handle = subscriber.dataTracks.nextHandle();
      if (handle === undefined) break;
      handles.set(handle, sid);
      track.subscriptions.set(subscriber.sid, { subscriber, handle, isDropping: false });
      changed = true;
    }
    if (changed) this.#tellHandles(subscriber);
  }

  /** Settles the subscriptions of everybody who wants tracks of this publisher: it permits others now. */
  settleSubscribersOf(publisher: Participant, others: Iterable<Participant>): void {
    if (publisher.dataTracks.published.size === 0) return;
    for (const other of others) if (other.dataTracks.wanted.size > 0) this.settle(other);
  }

  /** Nothing of a participant that leaves remains. */
  forget(participant: Participant): void {
    const { published, wanted } = participant.dataTracks;
    for (const handle of [...published.keys()]) this.unpublish(participant, handle);
    for (const sid of wanted) this.#tracks.get(sid)?.subscriptions.delete(participant.sid);
    wanted.clear();
  }

  /** Sends a packet of a track to those who have subscribed. What is no packet of a published track is dropped. */
  relay(publisher: Participant, packet: Uint8Array): void {
    const track = publisher.dataTracks.published.get(readTrackHandle(packet) ?? 0);
    if (!track) return;
    for (const subscription of track.subscriptions.values()) {
      const { subscriber, handle } = subscription;
      // A frame is sent whole or not at all: a part of it is of no use.
      if (startsFrame(packet)) subscription.isDropping = !subscriber.outbox.takesTrackPackets;
      if (subscription.isDropping) continue;
      subscriber.boundary.run('sending a data track', () =>
        subscriber.outbox.sendTrackPacket(withTrackHandle(packet, handle)),
      );
    }
  }

  #tellHandles(subscriber: Participant): void {
    const entries = [...subscriber.dataTracks.handles].flatMap(([handle, trackSid]) => {
      const publisher = this.#tracks.get(trackSid)?.publisher;
      if (!publisher) return [];
      const { identity: publisherIdentity, sid: publisherSid } = publisher;
      return [[handle, { publisherIdentity, publisherSid, trackSid }] as const];
    });
    const value = new DataTrackSubscriberHandles({ subHandles: Object.fromEntries(entries) });
    subscriber.send({ case: 'dataTrackSubscriberHandles', value });
  }
}

function mayReceive(subscriber: Participant, { publisher, info }: UpDataTrack): boolean {
  return (
    subscriber !== publisher &&
    subscriber.permission.canSubscribe &&
    !publisher.permission.hidden &&
    isPermitted(subscriber, publisher, info.sid)
  );
}

function refusalOf(publisher: Participant, request: PublishDataTrackRequest): Refusal | undefined {
  const { pubHandle, name, frameEncoding, schema } = request;
  const { published } = publisher.dataTracks;
  if (!publisher.permission.canPublishData)
    return { reason: Reason.NOT_ALLOWED, message: 'does not have permission to publish data' };
  if (!isTrackHandle(pubHandle))
    return { reason: Reason.INVALID_HANDLE, message: 'handle should be > 0 AND < 65536' };
  if (name.length === 0 || Buffer.byteLength(name) > limits.trackNameBytes.value)
    return {
      reason: Reason.INVALID_NAME,
      message: 'name should not be empty and should not exceed 256 characters',
    };
  const encodings = [frameEncoding?.value, schema?.encoding?.value];
  if (!encodings.every((encoding) => isCustomEncodingValid(encoding)) || !isSchemaNameValid(schema?.name))
    return {
      reason: Reason.INVALID_REQUEST,
      message: 'encoding identifier is empty or exceeds the maximum length',
    };
  if (published.has(pubHandle))
    return { reason: Reason.DUPLICATE_HANDLE, message: 'a data track with same handle already exists' };
  for (const { info } of published.values())
    if (info.name === name)
      return { reason: Reason.DUPLICATE_NAME, message: 'a data track with same name already exists' };
  if (published.size >= limits.tracksPerParticipant.value)
    return { reason: Reason.LIMIT_EXCEEDED, message: 'exceeds track limit' };
  return undefined;
}

/** Whether a name of an encoding that programs made up themselves is within its limit. */
export function isCustomEncodingValid(
  encoding: { case: string | undefined; value?: unknown } | undefined,
): boolean {
  if (encoding?.case !== 'custom') return true;
  const name = String(encoding.value);
  return name !== '' && Buffer.byteLength(name) <= limits.customEncodingBytes.value;
}

function isSchemaNameValid(name = ''): boolean {
  return Buffer.byteLength(name) <= limits.dataBlobKeyBytes.value;
}
