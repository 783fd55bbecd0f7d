import type { UpdateTrackSettings } from '@livekit/protocol';
import type { FrameFilter } from '../../audio/index.js';
import type { StreamFilter } from '../options.js';
import type { RemoteTrack } from './remote-track.js';

/** What remote publications and tracks ask of their room. */
export interface RemoteTrackHost {
  setSubscribed(publicationSid: string, subscribed: boolean): void;
  updateTrackSettings(settings: UpdateTrackSettings): void;
  createFilter(
    track: RemoteTrack,
    filter: StreamFilter,
    format: { sampleRate: number; numChannels: number },
  ): FrameFilter;
}
