import { AddTrackRequest, TrackSource, TrackType, VideoLayer, VideoQuality } from '@livekit/protocol';
import { createLogger, type LogSubject } from '../../logging/index.js';
import { type Codec, extensionUris } from '../../transport/index.js';
import { loadCodecs, type VideoCodec, VideoSender } from '../../video/index.js';
import type { LocalVideoTrack } from '../local-video-track.js';
import type { PublishVideoOptions } from '../options.js';
import type { PublishedMedia } from './publisher.js';
import { type AcceptedSection, SentTrack, type TrackEncryption } from './sent-track.js';

const log = createLogger('room/tracks');
const extensions = [
  { id: 4, uri: extensionUris.mid },
  { id: 13, uri: extensionUris.videoOrientation },
];
const feedback = ['nack', 'nack pli', 'ccm fir'];
/** With BUNDLE a payload type is one codec in all sections; the one above it is its retransmissions. */
const payloadTypes: Record<VideoCodec, number> = { vp8: 96, vp9: 98, h264: 102, av1: 104 };
const parameters: Partial<Record<VideoCodec, string>> = {
  h264: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f',
};
const names: Record<VideoCodec, string> = { vp8: 'VP8', vp9: 'VP9', h264: 'H264', av1: 'AV1' };
/** Encoders that give a frame when they were given a picture; the others hold many back (decision 10). */
const promptCodecs: readonly VideoCodec[] = ['h264', 'vp8'];
const defaultCodec: VideoCodec = 'h264';
const defaultFramesPerSecond = 30;
/** Bits a second for one pixel at 30 frames a second: 1.2 Mbit/s at 720p, more for each where there are few. */
const bitratePerPixel = { large: 1.3, small: 1.74 };
const largePixels = 640 * 480;

function codecAndRepair(codec: VideoCodec): Codec[] {
  const payloadType = payloadTypes[codec];
  const clockRate = 90_000;
  const apt = `apt=${payloadType}`;
  return [
    { payloadType, name: names[codec], clockRate, parameters: parameters[codec] ?? '', feedback },
    { payloadType: payloadType + 1, name: 'rtx', clockRate, parameters: apt, feedback: [] },
  ];
}

/** A video track on its way to the server. */
export class SentVideoTrack extends SentTrack {
  readonly track: LocalVideoTrack;
  readonly options: PublishVideoOptions;
  #codec: VideoCodec;
  #subject: LogSubject;
  #ssrc: number;
  #repairSsrc: number;
  #sender: VideoSender | undefined;

  constructor(
    track: LocalVideoTrack,
    options: PublishVideoOptions,
    cid: string,
    random: () => number,
    encryption: TrackEncryption | undefined,
    subject: LogSubject,
  ) {
    super(cid, random, encryption);
    this.#subject = subject;
    this.#ssrc = this.newSsrc();
    this.#repairSsrc = this.newSsrc();
    this.track = track;
    this.options = options;
    this.#codec = options.codec ?? defaultCodec;
    if (!promptCodecs.includes(this.#codec)) {
      log
        .about(subject)
        .info(`track ${track.name} is sent as ${defaultCodec}: the ${this.#codec} encoder holds frames back`);
      this.#codec = defaultCodec;
    }
  }

  request(): AddTrackRequest {
    const { source: video, name, muted } = this.track;
    const { stream = '', source = video.isScreencast ? TrackSource.SCREEN_SHARE : TrackSource.CAMERA } =
      this.options;
    const { width, height } = video;
    const layer = {
      quality: VideoQuality.HIGH,
      width,
      height,
      bitrate: this.#bitrateBps(),
      ssrc: this.#ssrc,
    };
    return new AddTrackRequest({
      cid: this.cid,
      name,
      type: TrackType.VIDEO,
      source,
      muted,
      width,
      height,
      stream,
      encryption: this.encryptionType,
      layers: [new VideoLayer(layer)],
      simulcastCodecs: [{ codec: this.#codec, cid: this.cid }],
    });
  }

  protected offer(): PublishedMedia {
    return {
      kind: 'video',
      // The server takes from the first offer which codecs there will ever be: ours comes first, the others are named.
      codecs: [this.#codec, ...promptCodecs.filter((codec) => codec !== this.#codec)].flatMap(codecAndRepair),
      extensions,
      msid: { streamId: this.options.stream || 'offhook', trackId: this.cid },
      sources: [{ ssrc: this.#ssrc, repairSsrc: this.#repairSsrc, cname: 'offhook' }],
    };
  }

  override async prepare(): Promise<void> {
    await loadCodecs();
  }

  protected begin({ media, section, codec, extensionId, midExtension }: AcceptedSection): void {
    const accepted = codec(this.#codec);
    if (!accepted) throw this.refused(names[this.#codec]);
    const rtx = section.codecs.find(
      ({ name, parameters }) =>
        name.toLowerCase() === 'rtx' && parameters.includes(`apt=${accepted.payloadType}`),
    );
    const orientationExtensionId = extensionId(extensionUris.videoOrientation);
    const encryptor = this.encryptor(this.#codec);
    const sender = new VideoSender({
      subject: this.#subject,
      source: this.track.source,
      codec: this.#codec,
      ssrc: this.#ssrc,
      payloadType: accepted.payloadType,
      maxBitrateBps: this.#bitrateBps(),
      maxFramesPerSecond: this.options.maxFramesPerSecond ?? defaultFramesPerSecond,
      send: (packet) => void media.send(packet),
      cname: 'offhook',
      random: this.random,
      ...(rtx ? { repair: { ssrc: this.#repairSsrc, payloadType: rtx.payloadType } } : {}),
      ...(orientationExtensionId === undefined ? {} : { orientationExtensionId }),
      ...(midExtension === undefined ? {} : { midExtension }),
      ...(encryptor
        ? { transform: (frame: Buffer, { isKeyFrame }) => encryptor.encrypt(frame, isKeyFrame) }
        : {}),
    });
    media.onPacket = (packet) => sender.handleRtcp(packet);
    this.#sender = sender;
    this.track.attach(sender);
    sender.start();
  }

  /** The server says whether anybody watches (dynacast). */
  setWatched(watched: boolean): void {
    this.#sender?.setPaused(!watched);
  }

  stop(): void {
    this.#sender?.close();
    this.#sender = undefined;
    this.track.attach(undefined);
    this.forgetEncryptor();
  }

  #bitrateBps(): number {
    const { width, height } = this.track.source;
    const pixels = width * height;
    const perPixel = pixels >= largePixels ? bitratePerPixel.large : bitratePerPixel.small;
    return this.options.maxBitrateBps ?? Math.round(pixels * perPixel);
  }
}
