import type { AudioReceiverStats, AudioSenderStats } from '../audio/index.js';
import type { CandidatePair, Codec, ConnectionStats, PeerConnectionState } from '../transport/index.js';
import type { VideoReceiverStats, VideoSenderStats } from '../video/index.js';
import type { Connection } from './connection/connection.js';
import type { RemoteMedia } from './media/remote-media.js';
import type { LocalTracks } from './tracks/local-tracks.js';

/** The media section that carries a track at a time: what its statistics name besides counts. */
export interface TrackSection {
  mid: string;
  /** As the section's msid has it. */
  trackId: string;
  codecs: readonly Codec[];
  transport: () => TransportStats;
}

export interface TransportStats extends ConnectionStats {
  name: 'publisher' | 'subscriber';
  state: PeerConnectionState;
  pair: CandidatePair | undefined;
  rttMs: number | undefined;
  /** What the path carries, as far as is known; undefined where nothing is estimated. */
  availableOutgoingBps: number | undefined;
}

/** What is known of one track, and of the media section that carries it. */
export interface TrackStats<Stats> {
  sid: string;
  stats: Stats;
  section: TrackSection | undefined;
}

export interface RoomStats {
  publisher: TransportStats | undefined;
  subscriber: TransportStats | undefined;
  sent: readonly TrackStats<AudioSenderStats>[];
  received: readonly TrackStats<AudioReceiverStats>[];
  sentVideo: readonly TrackStats<VideoSenderStats>[];
  receivedVideo: readonly TrackStats<VideoReceiverStats>[];
  signalRttMs: number | undefined;
}

interface StatsSources {
  connection: Connection;
  tracks: LocalTracks;
  media: RemoteMedia;
}

export function roomStats({ connection, tracks, media }: StatsSources): RoomStats {
  const sent: TrackStats<AudioSenderStats>[] = [];
  const sentVideo: TrackStats<VideoSenderStats>[] = [];
  for (const [sid, { track }] of tracks.all) {
    const stats = track.stats();
    const { section } = track;
    if (stats && 'codec' in stats) sentVideo.push({ sid, stats, section });
    else if (stats) sent.push({ sid, stats, section });
  }
  const receivedVideo: TrackStats<VideoReceiverStats>[] = [];
  const received: TrackStats<AudioReceiverStats>[] = [];
  for (const { trackSid: sid, audio, video, section } of media.all) {
    if (audio) received.push({ sid, stats: audio.stats(), section });
    if (video) receivedVideo.push({ sid, stats: video.stats(), section });
  }
  const { session } = connection;
  return {
    publisher: session?.publisher.stats(),
    subscriber: session?.subscriber?.stats(),
    sent,
    received,
    sentVideo,
    receivedVideo,
    signalRttMs: session?.signalRttMs,
  };
}
