import {
  AddTrackRequest,
  type SubscribedQualityUpdate,
  TrackSource,
  TrackType,
  VideoLayer,
  VideoQuality,
} from '@livekit/protocol';
import { createLogger, type LogSubject } from '../../logging/index.js';
import { type Codec, extensionUris, type MediaSection } from '../../transport/index.js';
import {
  EncodedVideoSource,
  loadCodecs,
  planVideoLayers,
  type VideoCodec,
  type VideoLayerPlan,
  VideoSender,
} from '../../video/index.js';
import type { PublishVideoOptions } from '../options.js';
import type { LocalVideoTrack } from '../tracks/local-track.js';
import type { PublishedMedia } from './publisher.js';
import { type AcceptedSection, SentTrack, type TrackEncryption } from './sent-track.js';

const log = createLogger('room/tracks');
const extensions = [
  { id: 3, uri: extensionUris.transportSequence },
  { id: 4, uri: extensionUris.mid },
  { id: 13, uri: extensionUris.videoOrientation },
];
const layerExtensions = [
  { id: 10, uri: extensionUris.rid },
  { id: 11, uri: extensionUris.repairedRid },
];
const feedback = ['transport-cc', 'nack', 'nack pli', 'ccm fir'];
/** With BUNDLE a payload type is one codec in all sections; the one above it is its retransmissions. */
const payloadTypes: Record<VideoCodec, number> = { vp8: 96, vp9: 98, h264: 102, av1: 104 };
const parameters: Partial<Record<VideoCodec, string>> = {
  h264: 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f',
};
const names: Record<VideoCodec, string> = { vp8: 'VP8', vp9: 'VP9', h264: 'H264', av1: 'AV1' };
/** Encoders that give a frame when they were given a picture; the others hold many back (decision 10). */
const promptCodecs: readonly VideoCodec[] = ['h264', 'vp8'];
const defaultCodec: VideoCodec = 'h264';
const qualities = { q: VideoQuality.LOW, h: VideoQuality.MEDIUM, f: VideoQuality.HIGH } as const;

function codecAndRepair(codec: VideoCodec): Codec[] {
  const payloadType = payloadTypes[codec];
  const clockRate = 90_000;
  const apt = `apt=${payloadType}`;
  return [
    { payloadType, name: names[codec], clockRate, parameters: parameters[codec] ?? '', feedback },
    { payloadType: payloadType + 1, name: 'rtx', clockRate, parameters: apt, feedback: [] },
  ];
}

const highProfile = 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640032';
/** What we take, where we offer to receive. */
export const videoCodecs: readonly Codec[] = [
  ...(['vp8', 'vp9', 'h264', 'av1'] as const).flatMap(codecAndRepair),
  { payloadType: 112, name: names.h264, clockRate: 90_000, parameters: highProfile, feedback },
  { payloadType: 113, name: 'rtx', clockRate: 90_000, parameters: 'apt=112', feedback: [] },
];

interface SentLayer {
  plan: VideoLayerPlan;
  quality: VideoQuality;
  ssrc: number;
  repairSsrc: number;
}

/** A video track on its way to the server. */
export class SentVideoTrack extends SentTrack {
  readonly track: LocalVideoTrack;
  readonly options: PublishVideoOptions;
  #codec: VideoCodec;
  #subject: LogSubject;
  /** The lowest first. */
  #layers: SentLayer[];
  /** What the server took of them. */
  #sent: SentLayer[] = [];
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
    this.track = track;
    this.options = options;
    const { width, height, isScreencast } = track.source;
    const simulcast = this.#isEncoded ? false : options.simulcast;
    this.#layers = planVideoLayers({ ...options, simulcast, width, height, isScreencast }).map((plan) => ({
      plan,
      quality: plan.rid ? qualities[plan.rid] : VideoQuality.HIGH,
      ssrc: this.newSsrc(),
      repairSsrc: this.newSsrc(),
    }));
    this.#codec = options.codec ?? defaultCodec;
    if (!this.#isEncoded && !promptCodecs.includes(this.#codec)) {
      log
        .about(subject)
        .info(`track ${track.name} is sent as ${defaultCodec}: the ${this.#codec} encoder holds frames back`);
      this.#codec = defaultCodec;
    }
    if (options.scalabilityMode && !this.#isEncoded) {
      const layers = this.#isSimulcast ? 'simulcast layers' : 'one layer';
      log
        .about(subject)
        .info(`track ${track.name} is sent in ${layers}: no encoder here makes ${options.scalabilityMode}`);
    }
  }

  request(): AddTrackRequest {
    const { source: video, name, muted } = this.track;
    const { stream = '', source = video.isScreencast ? TrackSource.SCREEN_SHARE : TrackSource.CAMERA } =
      this.options;
    const { width, height } = video;
    const layers = this.#layers.map(
      ({ plan: { scale, maxBitrateBps }, quality, ssrc }) =>
        new VideoLayer({
          quality,
          width: Math.round(width / scale),
          height: Math.round(height / scale),
          bitrate: maxBitrateBps,
          // The server finds the layers of a simulcast by RID.
          ssrc: this.#isSimulcast ? 0 : ssrc,
        }),
    );
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
      packetTrailerFeatures: [...(this.options.frameMetadata ?? [])],
      layers,
      simulcastCodecs: [{ codec: this.#codec, cid: this.cid, layers }],
    });
  }

  protected offer(): PublishedMedia {
    return {
      kind: 'video',
      // The server takes from the first offer which codecs there will ever be: ours comes first, the others are named.
      codecs: [this.#codec, ...promptCodecs.filter((codec) => codec !== this.#codec)].flatMap(codecAndRepair),
      extensions: this.#isSimulcast ? [...extensions, ...layerExtensions] : extensions,
      msid: { streamId: this.options.stream || 'offhook', trackId: this.cid },
      ...(this.#isSimulcast
        ? {
            rids: this.#layers.flatMap(({ plan: { rid } }) => (rid ? [{ id: rid, direction: 'send' }] : [])),
            ssrcs: this.#layers.flatMap(({ ssrc, repairSsrc }) => [ssrc, repairSsrc]),
          }
        : { sources: this.#layers.map(({ ssrc, repairSsrc }) => ({ ssrc, repairSsrc, cname: 'offhook' })) }),
    };
  }

  /** Frames of the program's own encoder are sent as they are. */
  get #isEncoded(): boolean {
    return this.track.source instanceof EncodedVideoSource;
  }

  get #isSimulcast(): boolean {
    return this.#layers.length > 1;
  }

  override async prepare(): Promise<void> {
    if (!this.#isEncoded) await loadCodecs();
  }

  protected begin(accepted: AcceptedSection): void {
    const { media, section, extensionId, midExtension, congestion, carrier } = accepted;
    const format = accepted.codec(this.#codec);
    if (!format) throw this.refused(names[this.#codec]);
    const rtx = section.codecs.find(
      ({ name, parameters }) =>
        name.toLowerCase() === 'rtx' && parameters.includes(`apt=${format.payloadType}`),
    );
    const orientationExtensionId = extensionId(extensionUris.videoOrientation);
    const transportSequenceId = extensionId(extensionUris.transportSequence);
    const isNumbered = transportSequenceId !== undefined && format.feedback.includes('transport-cc');
    const ridId = extensionId(extensionUris.rid);
    const encryptor = this.encryptor(this.#codec);
    const sender = new VideoSender({
      subject: this.#subject,
      source: this.track.source,
      codec: this.#codec,
      layers: this.#accepted(section).map(({ plan, ssrc, repairSsrc }) => ({
        plan,
        ssrc,
        ...(rtx ? { repair: { ssrc: repairSsrc, payloadType: rtx.payloadType } } : {}),
      })),
      payloadType: format.payloadType,
      send: (packet) => void media.send(packet),
      sendsMetadata: (this.options.frameMetadata ?? []).length > 0,
      cname: 'offhook',
      random: this.random,
      ...(isNumbered ? { congestion, transportSequenceId } : {}),
      ...(this.#isSimulcast && ridId !== undefined
        ? { ridExtension: { id: ridId, repairedId: extensionId(extensionUris.repairedRid) } }
        : {}),
      ...(orientationExtensionId === undefined ? {} : { orientationExtensionId }),
      ...(midExtension === undefined ? {} : { midExtension }),
      ...(encryptor
        ? { transform: (frame: Buffer, { isKeyFrame }) => encryptor.encrypt(frame, isKeyFrame) }
        : {}),
    });
    media.onPacket = (packet) => sender.handleRtcp(packet);
    this.#sender = sender;
    this.track.attach(sender, carrier);
    sender.start();
  }

  /** Those layers that the server takes (RFC 8853, section 5.3.2): without simulcast the highest. */
  #accepted({ rids = [] }: MediaSection): SentLayer[] {
    const names = rids.filter(({ direction }) => direction === 'recv').map(({ id }) => id);
    const taken = this.#layers.filter(({ plan: { rid } }) => rid === undefined || names.includes(rid));
    this.#sent = taken.length > 0 ? taken : this.#layers.slice(-1);
    return this.#sent;
  }

  /** The server says which layers anybody watches (dynacast). One that it does not name is watched. */
  setWatched(update: SubscribedQualityUpdate): void {
    const { subscribedQualities, subscribedCodecs } = update;
    const ofCodec =
      subscribedCodecs.find(({ codec }) => codec.toLowerCase() === this.#codec) ?? subscribedCodecs[0];
    const named = ofCodec?.qualities ?? subscribedQualities;
    const isWatched = (quality: VideoQuality) =>
      named.find((each) => each.quality === quality)?.enabled ?? named.some(({ enabled }) => enabled);
    // The only layer is whatever quality there is.
    const watched =
      this.#sent.length > 1
        ? this.#sent.map(({ quality }) => isWatched(quality))
        : [named.length === 0 || named.some(({ enabled }) => enabled)];
    this.#sender?.setWatched(watched);
  }

  stop(): void {
    this.#sender?.close();
    this.#sender = undefined;
    this.track.attach(undefined);
    this.forgetEncryptor();
  }
}
