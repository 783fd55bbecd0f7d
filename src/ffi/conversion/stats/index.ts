import {
  LocalAudioTrack,
  LocalVideoTrack,
  RemoteAudioTrack,
  type RemoteTrack,
  RemoteVideoTrack,
  type RoomStats,
  type TrackSection,
} from '../../../room/index.js';
import { type Stats, type StatsTime, statsTime } from './messages.js';
import { audioReceiverStats, videoReceiverStats } from './received.js';
import { audioSenderStats, videoSenderStats } from './sent.js';
import { connectionStats, type MediaTimes, transportStats } from './transport.js';

/** What is known of a track, and of the transport that carries it. */
export function trackStats(track: LocalAudioTrack | LocalVideoTrack | RemoteTrack): Stats[] {
  const time = statsTime();
  const sid = track.sid ?? '';
  if (track instanceof RemoteAudioTrack || track instanceof RemoteVideoTrack) {
    const { section } = track;
    const isAudio = track instanceof RemoteAudioTrack;
    const received = isAudio
      ? audioReceiverStats({ sid, section, stats: track.stats() }, time)
      : videoReceiverStats({ sid, section, stats: track.stats() }, time);
    return [...received, ...carrier(section, { receivedMs: track.stats().lastPacketMs }, time)];
  }
  if (track instanceof LocalVideoTrack) {
    const stats = track.stats();
    const { section } = track;
    if (!stats) return [];
    const sentMs = Math.max(0, ...stats.layers.map(({ lastPacketSentMs = 0 }) => lastPacketSentMs));
    return [...videoSenderStats({ sid, stats, section }, time), ...carrier(section, { sentMs }, time)];
  }
  if (!(track instanceof LocalAudioTrack)) return [];
  const stats = track.stats();
  const { section } = track;
  if (!stats) return [];
  const sentMs = stats.lastPacketSentMs;
  return [...audioSenderStats({ sid, stats, section }, time), ...carrier(section, { sentMs }, time)];
}

function carrier(section: TrackSection | undefined, media: MediaTimes, time: StatsTime): Stats[] {
  return section ? transportStats(section.transport(), media, time) : [];
}

/** What is known of a room's connections and of all its tracks, by connection. */
export function sessionStats(room: RoomStats): { publisherStats: Stats[]; subscriberStats: Stats[] } {
  const time = statsTime();
  const { publisher, subscriber, sent, received, sentVideo, receivedVideo } = room;
  const receivedMs = Math.max(0, ...[...received, ...receivedVideo].map(({ stats }) => stats.lastPacketMs));
  const streams = [...sent.map(({ stats }) => stats), ...sentVideo.flatMap(({ stats }) => stats.layers)];
  const sentMs = Math.max(0, ...streams.map(({ lastPacketSentMs = 0 }) => lastPacketSentMs));
  const receiving = [
    ...received.flatMap((track) => audioReceiverStats(track, time)),
    ...receivedVideo.flatMap((track) => videoReceiverStats(track, time)),
  ];
  const isSingle = publisher !== undefined && subscriber === undefined;
  const publisherStats = [
    ...(publisher ? connectionStats(publisher, { sentMs, ...(isSingle && { receivedMs }) }, time) : []),
    ...sent.flatMap((track) => audioSenderStats(track, time)),
    ...sentVideo.flatMap((track) => videoSenderStats(track, time)),
    // As the native engine: what comes over the one connection is the publisher's.
    ...(isSingle ? receiving : []),
  ];
  const subscriberStats = isSingle
    ? []
    : [...(subscriber ? connectionStats(subscriber, { receivedMs }, time) : []), ...receiving];
  return { publisherStats, subscriberStats };
}
