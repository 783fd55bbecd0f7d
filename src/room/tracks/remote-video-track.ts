import type {
  PictureFormat,
  VideoFrame,
  VideoReceiver,
  VideoReceiverStats,
  VideoStream,
  VideoStreamOptions,
} from '../../video/index.js';
import type { TrackSection } from '../stats.js';
import { RemoteTrack } from './remote-track.js';
import type { RemoteTrackPublication } from './remote-track-publication.js';

/** A video track that is being received. */
export class RemoteVideoTrack extends RemoteTrack {
  #receiver: VideoReceiver;
  #section: () => TrackSection | undefined;

  constructor(
    publication: RemoteTrackPublication,
    receiver: VideoReceiver,
    section: () => TrackSection | undefined,
  ) {
    super(publication);
    this.#receiver = receiver;
    this.#section = section;
    receiver.hasMetadata = publication.info.frameMetadata.length > 0;
  }

  /** Opens a view of the track, with its own format. Video is decoded while at least one is open. */
  openStream(options: VideoStreamOptions): VideoStream {
    return this.#receiver.openStream(options);
  }

  /**
   * The track's frames, the newest at each turn of the loop, until it ends or the loop is left.
   *
   * @throws OffhookError `OFFHOOK_NOT_SUPPORTED` when the package that decodes video is not installed
   */
  async *frames(options: { format?: PictureFormat } = {}): AsyncGenerator<VideoFrame, void, void> {
    let newest: VideoFrame | undefined;
    let ended = false;
    let failure: unknown;
    let wake: () => void = () => {};
    const stream = this.openStream({
      ...options,
      onFrame: (frame) => {
        newest = frame;
        wake();
      },
      onEnd: (error) => {
        ended = true;
        failure = error;
        wake();
      },
    });
    try {
      while (true) {
        const frame = newest;
        newest = undefined;
        if (frame) yield frame;
        else if (failure !== undefined) throw failure;
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

  stats(): VideoReceiverStats {
    return this.#receiver.stats();
  }

  override close(): void {
    this.#receiver.close();
  }
}
