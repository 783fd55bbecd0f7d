import { AddTrackRequest, AudioTrackFeature, TrackSource, TrackType } from '@livekit/protocol';
import { AudioSender } from '../../audio/index.js';
import { type Codec, extensionUris } from '../../transport/index.js';
import type { PublishAudioOptions } from '../options.js';
import type { LocalAudioTrack } from '../tracks/local-track.js';
import type { PublishedMedia } from './publisher.js';
import { type AcceptedSection, SentTrack, type TrackEncryption } from './sent-track.js';

const payloadTypes = { opus: 111, red: 63 };
const opusCodec = {
  payloadType: payloadTypes.opus,
  name: 'opus',
  clockRate: 48_000,
  channels: 2,
  feedback: [],
};
const redParameters = `${payloadTypes.opus}/${payloadTypes.opus}`;
/** What we take, where we offer to receive: whether it comes in stereo is not known then. */
export const audioCodecs: readonly Codec[] = [
  { ...opusCodec, payloadType: payloadTypes.red, name: 'red', parameters: redParameters },
  { ...opusCodec, parameters: 'minptime=10;useinbandfec=1;stereo=1' },
];
const extensions = [
  { id: 1, uri: extensionUris.audioLevel },
  { id: 4, uri: extensionUris.mid },
];
const defaultBitrateBps = { mono: 32_000, stereo: 64_000 };

/** An audio track on its way to the server. */
export class SentAudioTrack extends SentTrack {
  readonly track: LocalAudioTrack;
  readonly options: PublishAudioOptions;
  #ssrc = 0;
  #sender: AudioSender | undefined;

  constructor(
    track: LocalAudioTrack,
    options: PublishAudioOptions,
    cid: string,
    random: () => number,
    encryption: TrackEncryption | undefined,
  ) {
    super(cid, random, encryption);
    this.track = track;
    this.options = options;
  }

  get isStereo(): boolean {
    return this.track.source.numChannels >= 2;
  }

  request(): AddTrackRequest {
    const { source = TrackSource.MICROPHONE, stream = '', audioFeatures = [], dtx = true } = this.options;
    const features = new Set(audioFeatures);
    if (this.isStereo) features.add(AudioTrackFeature.TF_STEREO);
    if (!dtx) features.add(AudioTrackFeature.TF_NO_DTX);
    return new AddTrackRequest({
      cid: this.cid,
      name: this.track.name,
      type: TrackType.AUDIO,
      source,
      muted: this.track.muted,
      disableDtx: !dtx,
      disableRed: !this.#wantsRed,
      stereo: this.isStereo,
      stream,
      encryption: this.encryptionType,
      audioFeatures: [...features],
    });
  }

  /** The other clients encrypt without RED. */
  get #wantsRed(): boolean {
    if (this.encryption) return false;
    return this.options.red ?? !this.isStereo;
  }

  protected offer(): PublishedMedia {
    this.#ssrc = this.newSsrc();
    return {
      kind: 'audio',
      codecs: this.#codecs(),
      extensions,
      msid: { streamId: this.options.stream || 'offhook', trackId: this.cid },
      sources: [{ ssrc: this.#ssrc, cname: 'offhook' }],
    };
  }

  protected begin({ media, codec, extensionId, midExtension, carrier }: AcceptedSection): void {
    const opus = codec('opus');
    if (!opus) throw this.refused('Opus');
    const red = codec('red');
    const audioLevelExtensionId = extensionId(extensionUris.audioLevel);
    const encryptor = this.encryptor('opus');
    const sender = new AudioSender({
      source: this.track.source,
      ssrc: this.#ssrc,
      payloadTypes: {
        opus: opus.payloadType,
        ...(red && this.#wantsRed ? { red: red.payloadType } : {}),
      },
      dtx: this.options.dtx ?? true,
      numChannels: this.isStereo ? 2 : 1,
      bitrateBps: this.#bitrateBps(),
      send: (packet) => media.send(packet),
      cname: 'offhook',
      random: this.random,
      ...(encryptor ? { encrypt: (frame) => encryptor.encrypt(frame) } : {}),
      ...(audioLevelExtensionId === undefined ? {} : { audioLevelExtensionId }),
      ...(midExtension === undefined ? {} : { midExtension }),
    });
    media.onPacket = (packet) => sender.handleRtcp(packet);
    this.#sender = sender;
    this.track.attach(sender, carrier);
    sender.start();
  }

  stop(): void {
    this.#sender?.close();
    this.#sender = undefined;
    this.track.attach(undefined);
    this.forgetEncryptor();
  }

  /** The order of payload types is the order of preference: RED first where it is wanted. */
  #codecs(): Codec[] {
    const opus = { ...opusCodec, parameters: this.#opusParameters() };
    if (!this.#wantsRed) return [opus];
    return [{ ...opus, payloadType: payloadTypes.red, name: 'red', parameters: redParameters }, opus];
  }

  #opusParameters(): string {
    const { dtx = true } = this.options;
    const parameters = ['minptime=10', 'useinbandfec=1'];
    if (dtx) parameters.push('usedtx=1');
    if (this.isStereo) parameters.push('stereo=1', 'sprop-stereo=1');
    return [...parameters, `maxaveragebitrate=${this.#bitrateBps()}`].join(';');
  }

  #bitrateBps(): number {
    return this.options.bitrateBps ?? defaultBitrateBps[this.isStereo ? 'stereo' : 'mono'];
  }
}
