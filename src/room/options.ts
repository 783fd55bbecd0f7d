import type { AudioTrackFeature, PacketTrailerFeature, TrackSource } from '@livekit/protocol';
import type { Clock, FrameFilter } from '../audio/index.js';
import type { Deadlines } from '../deadlines/index.js';
import type { LogSubject } from '../logging/index.js';
import type { Timeline } from '../timeline/index.js';
import type { IceServer } from '../transport/index.js';
import type { VideoCodec } from '../video/index.js';
import type { EncryptionOptions } from './encryption.js';

/** A filter's session for one stream: it never blocks, and passes audio through while the filter is not ready. */
export interface RoomFilter extends FrameFilter {
  updateStreamInfo(info: StreamInfo): void;
}

/** What a filter plugin knows of the stream that it works on. */
export interface StreamInfo {
  url: string;
  roomId: string;
  roomName: string;
  participantIdentity: string;
  participantId: string;
  trackId: string;
}

/** Where rooms find filter plugins. Nothing here is awaited. */
export interface RoomFilters {
  /** Starts the plugins' on_load beside the connect. */
  roomConnecting(room: {
    url: string;
    token: string;
    timeline: Timeline;
    loadDeadlineMs: number;
    /** Settles when the room has joined or failed to. */
    joined: Promise<unknown>;
  }): void;
  roomClosed(url: string): void;
  updateToken(url: string, token: string): void;
  create(
    moduleId: string,
    options: {
      sampleRate: number;
      numChannels: number;
      optionsJson: string;
      streamInfo: StreamInfo;
      /** For logs. */
      subject: LogSubject;
    },
  ): RoomFilter;
}

export interface RoomOptions {
  /** Name of the room's timeline, for reports; default `room`. */
  name?: string;
  /** Default: the filters that come with the engine. */
  filters?: RoomFilters;
  clock?: Clock;
  /** 0 to 1, for jitter and for identifiers of RTP. */
  random?: () => number;
}

export interface ConnectOptions {
  /** Subscribe to every track; default true. Otherwise `RemoteTrackPublication.setSubscribed` chooses. */
  autoSubscribe?: boolean;
  adaptiveStream?: boolean;
  /** Video that nobody watches, and layers of it that nobody watches, are not encoded; default false. */
  dynacast?: boolean;
  /**
   * One peer connection for both directions, which is up a round trip sooner, where the server has that (`/rtc/v1`); one
   * for each otherwise. Default true, as in the native engine.
   */
  singlePeerConnection?: boolean;
  /** `join`: connect returns when the room answered, media comes up beside it (default). `media`: when it is up. */
  waitFor?: 'join' | 'media';
  /** In milliseconds; the others keep their defaults (and their environment variables). */
  deadlines?: Partial<Deadlines>;
  /** Encrypts what is sent, and decrypts what others encrypt, so that no server can read it. */
  encryption?: EncryptionOptions;
  /** Aborting it while connecting abandons the connect at once. */
  signal?: AbortSignal;
  /** Used instead of the server's. */
  iceServers?: readonly IceServer[];
  /** `relay`: only through TURN servers. */
  iceTransportPolicy?: 'all' | 'relay';
  /**
   * How often joining is tried again, within the deadline of connecting, when no server lets us in; default 0. Not after a
   * step that has used up its deadline.
   */
  joinRetries?: number;
  /** Bytes of an incoming data stream beyond which its reader fails; default 5 GB. */
  maxStreamBytes?: number;
  /** Reconnects tried before the room gives up; default 20. */
  maxReconnectAttempts?: number;
}

export interface PublishAudioOptions {
  /** Default `audio`. */
  name?: string;
  /** Default microphone. */
  source?: TrackSource;
  /** Default 32 kbit/s mono, 64 kbit/s stereo. */
  bitrateBps?: number;
  /** Discontinuous transmission: nothing is sent in silence; default true. */
  dtx?: boolean;
  /** Redundant audio (RFC 2198); default true. */
  red?: boolean;
  /** Name of the stream the track belongs to. */
  stream?: string;
  audioFeatures?: readonly AudioTrackFeature[];
}

export interface PublishVideoOptions {
  /** Default `video`. */
  name?: string;
  /** Default camera, or screen share for a source of a screen. */
  source?: TrackSource;
  /** Default `h264`. What cannot be encoded in time (`vp9`, `av1`) is sent as `h264`; decision 10 has the figures. */
  codec?: VideoCodec;
  /** Of the highest layer; default by the source's size as in LiveKit's clients: 3 Mbit/s at 720p, 800 kbit/s at 360p. */
  maxBitrateBps?: number;
  /** Of the highest layer; default by the source's size: 30 from 720p on. */
  maxFramesPerSecond?: number;
  /**
   * Lower layers too, for those who see the track small or over a narrow path: one from 480 pixels on, two from 960 on.
   * Default true.
   */
  simulcast?: boolean;
  /** Layers in one stream (SVC), `L3T3_KEY` say: no encoder here makes them (decision 10), so layers are those of `simulcast`. */
  scalabilityMode?: string | undefined;
  /** Announced to others; where there is one, metadata of captured frames is sent. */
  frameMetadata?: readonly PacketTrailerFeature[];
  /** Name of the stream the track belongs to. */
  stream?: string;
}

/** A filter of a stream: a plugin by its module id, or code of the program's own. */
export type StreamFilter = FrameFilter | { moduleId: string; options?: unknown };

export interface PublishDataOptions {
  /** Default true. */
  reliable?: boolean;
  topic?: string;
  destinationIdentities?: readonly string[];
}

export interface ParticipantTrackPermission {
  participantIdentity: string;
  /** All tracks, now and later; takes precedence over `trackSids`. */
  allowAll?: boolean;
  trackSids?: readonly string[];
}
