import type { AudioSender, AudioSenderStats, AudioSource } from '../../audio/index.js';
import type { EncodedVideoSource, VideoSender, VideoSenderStats, VideoSource } from '../../video/index.js';
import type { TrackSection } from '../stats.js';

/** What carries a track while it is published. */
interface TrackSender<Stats> {
  setMuted(muted: boolean): void;
  stats(): Stats;
}

/** A source under a name, that may be published, muted, unpublished and published again. */
export abstract class LocalTrack<Source, Sender extends TrackSender<Stats>, Stats> {
  readonly name: string;
  readonly source: Source;
  #muted = false;
  #sender: Sender | undefined;
  #section: TrackSection | undefined;
  #onMute: ((muted: boolean) => void) | undefined;
  /** Given by the server while the track is published; after a full reconnect it is another one. */
  sid: string | undefined;

  constructor(name: string, source: Source) {
    this.name = name;
    this.source = source;
  }

  get muted(): boolean {
    return this.#muted;
  }

  /** While it is muted the others hear silence or see nothing, and see that it is muted. May be called before publishing. */
  setMuted(muted: boolean): void {
    if (this.#muted === muted) return;
    this.#muted = muted;
    this.#sender?.setMuted(muted);
    this.#onMute?.(muted);
  }

  /** What was sent; undefined while the track is not published. */
  stats(): Stats | undefined {
    return this.#sender?.stats();
  }

  /** The media section that carries the track; undefined while it is not published. */
  get section(): TrackSection | undefined {
    return this.#section;
  }

  /** For the room only: the sender and the section that carry the track now. */
  attach(sender: Sender | undefined, section?: TrackSection): void {
    this.#sender = sender;
    this.#section = section;
    sender?.setMuted(this.#muted);
  }

  /** For the room only: called when the track is muted or unmuted while it is published. */
  set onMute(listener: ((muted: boolean) => void) | undefined) {
    this.#onMute = listener;
  }
}

/** An audio source to publish. */
export class LocalAudioTrack extends LocalTrack<AudioSource, AudioSender, AudioSenderStats> {}

/** A video source to publish. */
export class LocalVideoTrack extends LocalTrack<
  VideoSource | EncodedVideoSource,
  VideoSender,
  VideoSenderStats
> {}
