import {
  AddTrackRequest,
  AudioTrackFeature,
  DisconnectReason,
  LeaveRequest,
  LeaveRequest_Action,
  MuteTrackRequest,
  Pong,
  RequestResponse,
  RequestResponse_Reason,
  SessionDescription,
  type SignalRequest,
  SignalTarget,
  SubscriptionPermissionUpdate,
  type SyncState,
  type TrackInfo,
  TrackPublishedResponse,
  type TrickleRequest,
  type UpdateParticipantMetadata,
  type UpdateSubscription,
  VideoQuality,
} from '@livekit/protocol';
import { describeError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import { candidateAddress, type IceCandidate } from '../transport/index.js';
import { enumValues, isWithin, oversizedProperty } from './checked-values.js';
import { getDataBlob, storeDataBlob } from './data-blobs.js';
import type { Refusal } from './data-tracks.js';
import { limits } from './limits.js';
import type { Participant } from './participant.js';
import { mayPublishSource } from './permissions.js';
import type { Room } from './room.js';
import { LimitError } from './sfu/client-description.js';
import type { TrackWish } from './sfu/down-track.js';
import { simulate } from './simulate.js';
import { isPermitted } from './subscription.js';
import { startTimeout } from './timers.js';
import { trackInfoOf } from './track-info.js';
import { TrackPermissions } from './track-permissions.js';

const log = createLogger('server/signal');
const answerDelayMs = 10;

type Request = SignalRequest['message'];
type RequestOf<Case extends Request['case']> = Extract<Request, { case: Case }>['value'];

type Handlers = {
  [Case in NonNullable<Request['case']>]?: (
    room: Room,
    participant: Participant,
    value: RequestOf<Case>,
  ) => void;
};

const handlers: Handlers = {
  offer: (_room, participant, description) => answerOffer(participant, description),
  answer: (_room, { subscriber }, { sdp, id }) => subscriber.accept(sdp, id),
  trickle: addCandidate,
  addTrack,
  mute: (room, participant, { sid, muted }) => muteTrack(room, participant, sid, muted),
  subscription: updateSubscription,
  trackSetting: (_room, participant, { trackSids, disabled, quality, width, height, fps }) => {
    const size = width > 0 && height > 0 ? { width, height } : undefined;
    setWish(participant, trackSids, { isDisabled: disabled, quality, size, fps });
  },
  subscriptionPermission: setSubscriptionPermission,
  updateMetadata,
  updateAudioTrack: (room, participant, { trackSid, features }) =>
    updateTrack(room, participant, trackSid, { audioFeatures: enumValues(AudioTrackFeature, features) }),
  updateVideoTrack: (room, participant, { trackSid, width, height }) =>
    updateTrack(room, participant, trackSid, { width, height }),
  publishDataTrackRequest: (room, participant, request) => {
    const refusal = room.publishDataTrack(participant, request);
    if (refusal) refuse(participant, 0, refusal, { case: 'publishDataTrack', value: request });
  },
  unpublishDataTrackRequest: (room, participant, request) => {
    if (room.unpublishDataTrack(participant, request.pubHandle)) return;
    const echo = { case: 'unpublishDataTrack', value: request } as const;
    respond(participant, 0, RequestResponse_Reason.NOT_FOUND, 'data track not found', echo);
  },
  updateDataSubscription: (room, participant, { updates }) => room.subscribeData(participant, updates),
  storeDataBlobRequest: (_room, participant, request) =>
    soon(participant, () => {
      const refusal = storeDataBlob(participant, request);
      if (refusal) refuse(participant, request.requestId, refusal);
    }),
  getDataBlobRequest: (room, participant, request) =>
    soon(participant, () => {
      const publisher = room.participants.get(request.participantIdentity);
      const refusal = getDataBlob(participant, publisher, request);
      if (refusal) refuse(participant, request.requestId, refusal);
    }),
  syncState,
  simulate,
  ping: (_room, participant) => participant.send({ case: 'pong', value: BigInt(Date.now()) }),
  pingReq: (_room, participant, { timestamp }) => {
    const pong = new Pong({ lastPingTimestamp: timestamp, timestamp: BigInt(Date.now()) });
    participant.send({ case: 'pongResp', value: pong });
  },
  leave: (room, participant) => room.remove(participant, DisconnectReason.CLIENT_INITIATED),
};

/**
 * For answers that the native engine loses when they come at once: on one machine half of its requests for data blobs timed
 * out, and none when the server wrote a log line first.
 */
function soon(participant: Participant, act: () => void): void {
  const actIfPresent = () => {
    if (!participant.hasLeft) act();
  };
  startTimeout(participant.boundary.name, answerDelayMs, actIfPresent, { keepsProcess: false });
}

/** Acts on one message of a participant's client. What cannot be done is answered or logged, never thrown. */
export function handleRequest(room: Room, participant: Participant, { case: kind, value }: Request): void {
  // A participant that was removed may go on sending until its socket has closed.
  if (participant.hasLeft) return;
  const handler = kind && (handlers[kind] as ((...args: unknown[]) => void) | undefined);
  if (!handler) {
    log.about(participant.subject).debug(`${kind ?? 'an unknown message'} is ignored`);
    return;
  }
  const { announcedBytes } = participant;
  try {
    handler(room, participant, value);
  } catch (error) {
    participant.warnings.write('warn', `${kind} failed: ${describeError(error)}`);
    if (error instanceof LimitError) room.remove(participant, DisconnectReason.STATE_MISMATCH);
  } finally {
    participant.announced.spend(participant.announcedBytes - announcedBytes, performance.now());
  }
}

function answerOffer(participant: Participant, { sdp, id }: SessionDescription): void {
  try {
    const answer = participant.publisher.answer(sdp);
    const midToTrackId = participant.publisher.shared?.midToTrackId() ?? {};
    participant.send({
      case: 'answer',
      value: new SessionDescription({ type: 'answer', sdp: answer, id, midToTrackId }),
    });
    participant.publisher.shared?.placed();
  } catch (error) {
    // Trying again would not make it smaller.
    if (error instanceof LimitError) throw error;
    participant.warnings.write('warn', `the offer was refused: ${describeError(error)}`);
    // Without an answer the client cannot go on; with a new session it can.
    const leave = { reason: DisconnectReason.STATE_MISMATCH, action: LeaveRequest_Action.RECONNECT };
    participant.send({ case: 'leave', value: new LeaveRequest({ ...leave, canReconnect: true }) });
  }
}

function addCandidate(
  _room: Room,
  participant: Participant,
  { candidateInit, target }: TrickleRequest,
): void {
  participant.candidates++;
  // For each of the two connections; which one it is for is the client's word.
  if (participant.candidates > 2 * limits.candidatesPerConnection.value) return;
  const parsed: unknown = JSON.parse(candidateInit);
  const { candidate } = (parsed ?? {}) as Partial<IceCandidate>;
  if (typeof candidate !== 'string' || !candidateAddress(candidate)) return;
  const side = target === SignalTarget.PUBLISHER ? participant.publisher : participant.subscriber;
  side.addIceCandidate({ candidate });
}

function addTrack(_room: Room, participant: Participant, request: RequestOf<'addTrack'>): void {
  if (!mayPublishSource(participant.permission, request.source)) {
    const message = 'does not have permission to publish this source';
    const echo = { case: 'addTrack', value: request } as const;
    respond(participant, 0, RequestResponse_Reason.NOT_ALLOWED, message, echo);
    return;
  }
  const { publisher } = participant;
  const known = publisher.findByCid(request.cid, participant.resumedMs);
  const isOversized = [
    request.cid,
    request.name,
    request.stream,
    ...request.layers.map(({ rid }) => rid),
  ].some((text) => !isWithin('trackNameBytes', text));
  if (isOversized || request.layers.length > limits.trackLayers.value || (!known && !publisher.hasRoom)) {
    const echo = { case: 'addTrack', value: new AddTrackRequest({ cid: request.cid.slice(0, 64) }) } as const;
    const message = isOversized ? 'exceeds track name limit' : 'exceeds track limit';
    respond(participant, 0, RequestResponse_Reason.LIMIT_EXCEEDED, message, echo);
    return;
  }
  const info = known ?? trackInfoOf(request);
  if (!known) publisher.addTrack(request, info);
  participant.send({
    case: 'trackPublished',
    value: new TrackPublishedResponse({ cid: request.cid, track: info.clone() }),
  });
}

/** Mutes or unmutes a participant's track; `fromServer` tells its client to do so. */
export function muteTrack(
  room: Room,
  participant: Participant,
  sid: string,
  muted: boolean,
  { fromServer = false } = {},
): void {
  const info = participant.publisher.findInfo(sid);
  if (!info || info.muted === muted) return;
  info.muted = muted;
  if (fromServer) participant.send({ case: 'mute', value: new MuteTrackRequest({ sid, muted }) });
  if (participant.publisher.tracks.has(sid)) room.broadcastUpdate(participant);
}

/** Subscribes to or unsubscribes from tracks, on behalf of a participant. */
export function updateSubscription(room: Room, participant: Participant, update: UpdateSubscription): void {
  const sids = new Set([
    ...update.trackSids,
    ...update.participantTracks.flatMap(({ trackSids }) => trackSids),
  ]);
  for (const sid of sids) {
    wish(participant, sid, update.subscribe);
    const found = room.findTrack(sid);
    if (!found) continue;
    room.subscribe(participant, found.publisher, found.track);
    if (update.subscribe && !isPermitted(participant, found.publisher, sid)) {
      tellPermission(participant, found.publisher, sid, false);
    }
  }
}

/** Remembers a wish, also for a track that is not published yet. Of too many the oldest tenth is forgotten. */
function wish({ subscriptionWishes }: Participant, sid: string, subscribe: boolean): void {
  subscriptionWishes.set(sid, subscribe);
  if (subscriptionWishes.size <= limits.subscriptionWishes.value) return;
  let forgotten = limits.subscriptionWishes.value / 10;
  for (const oldest of subscriptionWishes.keys()) {
    if (forgotten-- <= 0) return;
    subscriptionWishes.delete(oldest);
  }
}

function tellPermission(to: Participant, publisher: Participant, trackSid: string, allowed: boolean): void {
  to.send({
    case: 'subscriptionPermissionUpdate',
    value: new SubscriptionPermissionUpdate({ participantSid: publisher.sid, trackSid, allowed }),
  });
}

function setSubscriptionPermission(
  room: Room,
  publisher: Participant,
  permission: RequestOf<'subscriptionPermission'>,
): void {
  const sids = [...publisher.publisher.tracks.keys()];
  const others = [...room.participants.values()].filter((other) => other !== publisher);
  const permitted = (other: Participant) => sids.map((sid) => isPermitted(other, publisher, sid));
  const before = others.map(permitted);
  publisher.subscriptionPermission = new TrackPermissions(permission);
  others.forEach((other, i) => {
    permitted(other).forEach((allowed, j) => {
      if (allowed !== before[i]![j]) tellPermission(other, publisher, sids[j]!, allowed);
    });
    room.resubscribe(other, publisher);
  });
  room.resubscribeData(publisher);
}

function updateMetadata(room: Room, participant: Participant, update: UpdateParticipantMetadata): void {
  const echo = { case: 'updateMetadata', value: update } as const;
  if (!participant.permission.canUpdateMetadata) {
    const message = 'does not have permission to update own metadata';
    respond(participant, update.requestId, RequestResponse_Reason.NOT_ALLOWED, message, echo);
    return;
  }
  const attributes = mergeAttributes(participant.attributes, update.attributes);
  const oversized = oversizedProperty({ name: update.name, metadata: update.metadata, attributes });
  if (oversized) {
    respond(participant, update.requestId, RequestResponse_Reason.LIMIT_EXCEEDED, oversized, echo);
    return;
  }
  if (update.name !== '') participant.name = update.name;
  if (update.metadata !== '') participant.metadata = update.metadata;
  participant.attributes = attributes;
  room.broadcastUpdate(participant);
  respond(participant, update.requestId, RequestResponse_Reason.OK, '', echo);
}

/** Attributes with changes applied; an empty value removes one. */
export function mergeAttributes(
  attributes: Record<string, string>,
  changes: Record<string, string>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries({ ...attributes, ...changes }).filter(([, value]) => value !== ''),
  );
}

function setWish({ subscriber }: Participant, sids: readonly string[], wish: TrackWish): void {
  const nowMs = performance.now();
  for (const sid of new Set(sids)) subscriber.downTracks.get(sid)?.setWish(wish, nowMs);
}

function updateTrack(room: Room, participant: Participant, sid: string, changes: Partial<TrackInfo>): void {
  const track = participant.publisher.tracks.get(sid);
  if (!track) return;
  Object.assign(track.info, changes);
  room.broadcastUpdate(participant);
}

function syncState(room: Room, participant: Participant, state: SyncState): void {
  const disabled = { isDisabled: true, quality: VideoQuality.HIGH, size: undefined, fps: 0 };
  setWish(participant, state.trackSidsDisabled, disabled);
  if (state.subscription) updateSubscription(room, participant, state.subscription);
}

function refuse(
  participant: Participant,
  requestId: number,
  { reason, message }: Refusal,
  request: RequestResponse['request'] = { case: undefined },
): void {
  respond(participant, requestId, reason, message, request);
}

function respond(
  participant: Participant,
  requestId: number,
  reason: RequestResponse_Reason,
  message: string,
  request: RequestResponse['request'],
): void {
  participant.send({
    case: 'requestResponse',
    value: new RequestResponse({ requestId, reason, message, request }),
  });
}
