import { type AddTrackRequest, Encryption_Type, TrackInfo } from '@livekit/protocol';
import { untilAborted } from '../../deadlines/index.js';
import type { FrameCodec, FrameEncryptor } from '../../e2ee/index.js';
import { OffhookError } from '../../errors/index.js';
import type { CongestionControl } from '../../rtp/index.js';
import { type Codec, extensionUris, type MediaSection } from '../../transport/index.js';
import type { RoomEncryption } from '../encryption.js';
import type { PublishAudioOptions, PublishVideoOptions } from '../options.js';
import type { TrackSection } from '../stats.js';
import type { LocalAudioTrack, LocalVideoTrack } from '../tracks/local-track.js';
import type { PublishedMedia, PublishedSection, Publisher } from './publisher.js';

/** What the server accepted of a track's section, and the way to it. */
export interface AcceptedSection {
  media: PublishedSection['media'];
  /** By name in lower case. */
  codec(name: string): Codec | undefined;
  extensionId(uri: string): number | undefined;
  midExtension: { id: number; mid: string } | undefined;
  congestion: CongestionControl | undefined;
  section: MediaSection;
  carrier: TrackSection;
}

/** What encrypts a track, on behalf of whom. */
export interface TrackEncryption {
  encryption: RoomEncryption;
  identity: string;
}

/** A local track on its way to the server: its media section and its sender, in the session that there is. */
export abstract class SentTrack {
  abstract readonly track: LocalAudioTrack | LocalVideoTrack;
  abstract readonly options: PublishAudioOptions | PublishVideoOptions;
  /** The client's own id of the track, which the server finds again in the offer's msid. */
  readonly cid: string;
  /** What the server says of the track, once it has taken it. */
  info = new TrackInfo();
  protected readonly random: () => number;
  /** Undefined in a room that is not encrypted. */
  protected readonly encryption: TrackEncryption | undefined;
  #section: PublishedSection | undefined;
  #congestion: CongestionControl | undefined;
  #transport: TrackSection['transport'] | undefined;

  constructor(cid: string, random: () => number, encryption: TrackEncryption | undefined) {
    this.cid = cid;
    this.random = random;
    this.encryption = encryption;
  }

  abstract request(): AddTrackRequest;

  /** What is offered to the server. */
  protected abstract offer(): PublishedMedia;

  /** Begins to send. @throws OffhookError `OFFHOOK_SERVER_REFUSED` when the server accepted no codec */
  protected abstract begin(accepted: AcceptedSection): void;

  /** Stops sending; the track may be added to another publisher. */
  abstract stop(): void;

  /** Before anything is asked of the server: rejects when the track cannot be sent here at all. */
  async prepare(): Promise<void> {}

  /** Adds the track's media section. The sender starts when the section opens. */
  addTo(publisher: Publisher): void {
    this.#section = publisher.addTrack(this.offer());
    this.#congestion = publisher.congestion;
    this.#transport = () => publisher.stats();
  }

  /**
   * Starts to send once the section is open.
   *
   * @throws OffhookError `OFFHOOK_SERVER_REFUSED` when the server did not accept the codec
   */
  async start(signal: AbortSignal): Promise<void> {
    if (!this.#section) throw new OffhookError('OFFHOOK_CLOSED', `track ${this.track.name} is not published`);
    const { media, opened } = this.#section;
    const transport = this.#transport!;
    const section = await untilAborted(opened, signal);
    const extensionId = (wanted: string) => section.extensions.find(({ uri }) => uri === wanted)?.id;
    const midId = extensionId(extensionUris.mid);
    this.begin({
      media,
      congestion: this.#congestion,
      section,
      carrier: { mid: media.mid, trackId: this.cid, codecs: section.codecs, transport },
      codec: (wanted) =>
        section.rejected ? undefined : section.codecs.find(({ name }) => name.toLowerCase() === wanted),
      extensionId,
      midExtension: midId === undefined ? undefined : { id: midId, mid: media.mid },
    });
  }

  removeFrom(publisher: Publisher): void {
    this.stop();
    if (this.#section) publisher.removeTrack(this.#section);
    this.#section = undefined;
  }

  protected get encryptionType(): Encryption_Type {
    return this.encryption?.encryption.isEnabled ? Encryption_Type.GCM : Encryption_Type.NONE;
  }

  /** Undefined in a room that is not encrypted. */
  protected encryptor(codec: FrameCodec): FrameEncryptor | undefined {
    const { encryption, identity = '' } = this.encryption ?? {};
    return encryption?.encryptor(identity, this.info.sid, codec);
  }

  protected forgetEncryptor(): void {
    if (this.encryption) this.encryption.encryption.forgetTrack(this.encryption.identity, this.info.sid);
  }

  protected newSsrc(): number {
    return 1 + Math.floor(this.random() * 0xfffffffe);
  }

  protected refused(codec: string): OffhookError {
    return new OffhookError(
      'OFFHOOK_SERVER_REFUSED',
      `the server did not accept ${codec} for track ${this.track.name}`,
      { stage: 'publish' },
    );
  }
}
