import {
  LocalAudioTrack,
  LocalVideoTrack,
  RemoteAudioTrack,
  RemoteTrack,
  RemoteVideoTrack,
} from '../../room/index.js';
import {
  receiverStats,
  senderStats,
  transportStats,
  videoReceiverStats,
  videoSenderStats,
} from '../conversion/stats.js';
import type { Handler } from '../handler.js';
import { FfiRoom } from '../objects/ffi-room.js';

export const getStats: Handler<'getStats'> = ({ trackHandle, requestAsyncId }, context) => {
  const track = context.handles.getOneOf<LocalAudioTrack | LocalVideoTrack | RemoteTrack>(trackHandle, [
    LocalAudioTrack,
    LocalVideoTrack,
    RemoteTrack,
  ]);
  return context.call('getStats', requestAsyncId, async () => ({ stats: statsOf(track) }));
};

function statsOf(track: LocalAudioTrack | LocalVideoTrack | RemoteTrack) {
  if (track instanceof RemoteAudioTrack) return receiverStats(track.sid, track.stats(), Date.now());
  if (track instanceof RemoteVideoTrack) return videoReceiverStats(track.sid, track.stats(), Date.now());
  if (track instanceof LocalVideoTrack) {
    const video = track.stats();
    return video ? videoSenderStats(track.sid ?? '', video, Date.now()) : [];
  }
  if (!(track instanceof LocalAudioTrack)) return [];
  const sent = track.stats();
  return sent ? senderStats(track.sid ?? '', sent, Date.now()) : [];
}

export const getSessionStats: Handler<'getSessionStats'> = ({ roomHandle, requestAsyncId }, context) => {
  const { room } = context.handles.get(roomHandle, FfiRoom);
  return context.call('getSessionStats', requestAsyncId, async () => {
    const { publisher, subscriber, sent, received, sentVideo, receivedVideo } = room.stats();
    const nowMs = Date.now();
    const receiving = [
      ...[...received].flatMap(([sid, stats]) => receiverStats(sid, stats, nowMs)),
      ...[...receivedVideo].flatMap(([sid, stats]) => videoReceiverStats(sid, stats, nowMs)),
    ];
    const isSingle = publisher !== undefined && subscriber === undefined;
    const value = {
      publisherStats: [
        ...transportStats('publisher', publisher, nowMs),
        ...[...sent].flatMap(([sid, stats]) => senderStats(sid, stats, nowMs)),
        ...[...sentVideo].flatMap(([sid, stats]) => videoSenderStats(sid, stats, nowMs)),
        ...(isSingle ? receiving : []),
      ],
      // As the native engine: what comes over the one connection is the publisher's.
      subscriberStats: isSingle ? [] : [...transportStats('subscriber', subscriber, nowMs), ...receiving],
    };
    return { message: { case: 'result' as const, value } };
  });
};
