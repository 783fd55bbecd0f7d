import type { AudioReceiverStats, AudioSenderStats } from '../audio/index.js';
import type { CandidatePair, PeerConnection, PeerConnectionState } from '../transport/index.js';
import type { VideoReceiverStats, VideoSenderStats } from '../video/index.js';
import type { Engine } from './engine.js';

export interface TransportStats {
  state: PeerConnectionState;
  pair: CandidatePair | undefined;
  rttMs: number | undefined;
  bytesSent: number;
  bytesReceived: number;
}

export interface RoomStats {
  publisher: TransportStats | undefined;
  subscriber: TransportStats | undefined;
  /** By sid. */
  sent: ReadonlyMap<string, AudioSenderStats>;
  /** By sid. */
  received: ReadonlyMap<string, AudioReceiverStats>;
  /** By sid. */
  sentVideo: ReadonlyMap<string, VideoSenderStats>;
  /** By sid. */
  receivedVideo: ReadonlyMap<string, VideoReceiverStats>;
  signalRttMs: number | undefined;
}

export function roomStats({ connection, tracks, media }: Engine): RoomStats {
  const sent = new Map<string, AudioSenderStats>();
  const sentVideo = new Map<string, VideoSenderStats>();
  for (const [sid, { track }] of tracks.all) {
    const stats = track.stats();
    if (stats && 'codec' in stats) sentVideo.set(sid, stats);
    else if (stats) sent.set(sid, stats);
  }
  const receivedVideo = new Map<string, VideoReceiverStats>();
  const received = new Map<string, AudioReceiverStats>();
  for (const { trackSid, audio, video } of media.all) {
    if (audio) received.set(trackSid, audio.stats());
    if (video) receivedVideo.set(trackSid, video.stats());
  }
  const { session } = connection;
  return {
    publisher: session && transportStats(session.publisher.media.pc),
    subscriber: session?.subscriber && transportStats(session.subscriber.media.pc),
    sent,
    received,
    sentVideo,
    receivedVideo,
    signalRttMs: session?.signalRttMs,
  };
}

function transportStats(connection: PeerConnection): TransportStats {
  return {
    state: connection.state,
    pair: connection.pair,
    rttMs: connection.rttMs,
    bytesSent: connection.bytesSent,
    bytesReceived: connection.bytesReceived,
  };
}
