import {
  type AudioFrame,
  type AudioReceiver,
  type AudioReceiverStats,
  type AudioStream,
  type AudioStreamOptions,
  checkStreamOptions,
} from '../../audio/index.js';
import type { StreamFilter } from '../options.js';
import type { TrackSection } from '../stats.js';
import { RemoteTrack, type RemoteTrackHost } from './remote-track.js';
import type { RemoteTrackPublication } from './remote-track-publication.js';

export interface TrackStreamOptions extends Omit<AudioStreamOptions, 'filter'> {
  /** A filter for this stream. While a plugin loads, or when it is unavailable, audio passes as it is. */
  filter?: StreamFilter;
}

/** An audio track that is being received. */
export class RemoteAudioTrack extends RemoteTrack {
  #receiver: AudioReceiver;
  #section: () => TrackSection | undefined;
  #host: RemoteTrackHost;

  constructor(
    publication: RemoteTrackPublication,
    receiver: AudioReceiver,
    section: () => TrackSection | undefined,
    host: RemoteTrackHost,
  ) {
    super(publication);
    this.#receiver = receiver;
    this.#section = section;
    this.#host = host;
  }

  /**
   * Opens a view of the track, with its own rate, channels and filter.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a format or a size that is out of limits
   */
  openStream(options: TrackStreamOptions): AudioStream {
    checkStreamOptions(options);
    const { filter, ...rest } = options;
    if (!filter) return this.#receiver.openStream(rest);
    return this.#receiver.openStream({ ...rest, filter: this.#host.createFilter(this, filter, options) });
  }

  /** The track's frames, one after another, until it ends or the loop is left. */
  async *frames(
    options: Omit<TrackStreamOptions, 'onFrame' | 'onEnd'>,
  ): AsyncGenerator<AudioFrame, void, void> {
    const queue: AudioFrame[] = [];
    let ended = false;
    let wake: () => void = () => {};
    const stream = this.openStream({
      ...options,
      onFrame: (frame) => {
        // The samples are the stream's own only during the call.
        queue.push({ ...frame, data: frame.data.slice() });
        wake();
      },
      onEnd: () => {
        ended = true;
        wake();
      },
    });
    try {
      while (true) {
        const frame = queue.shift();
        if (frame) yield frame;
        else if (ended) return;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      stream.close();
    }
  }

  /** The media section that carries the track; undefined while there is none. */
  get section(): TrackSection | undefined {
    return this.#section();
  }

  stats(): AudioReceiverStats {
    return this.#receiver.stats();
  }

  override close(): void {
    this.#receiver.close();
  }
}
