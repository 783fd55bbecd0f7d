import { AddTrackRequest, AudioTrackFeature, TrackInfo, TrackSource, TrackType } from '@livekit/protocol';
import { AudioSender } from '../../audio/index.js';
import { OffhookError } from '../../timeline/index.js';
import { type Codec, extensionUris } from '../../transport/index.js';
import type { LocalAudioTrack } from '../local-audio-track.js';
import type { PublishAudioOptions } from '../options.js';
import { untilAborted } from '../until-aborted.js';
import type { PublishedSection, Publisher } from './publisher.js';

const payloadTypes = { opus: 111, red: 63 };
const extensions = [
  { id: 1, uri: extensionUris.audioLevel },
  { id: 4, uri: extensionUris.mid },
];
const defaultBitrateBps = { mono: 32_000, stereo: 64_000 };

/** A local track on its way to the server: its media section and its sender, in the session that there is. */
export class SentTrack {
  readonly track: LocalAudioTrack;
  readonly options: PublishAudioOptions;
  /** The client's own id of the track, which the server finds again in the offer's msid. */
  readonly cid: string;
  /** What the server says of the track, once it has taken it. */
  info = new TrackInfo();
  #section: PublishedSection | undefined;
  #ssrc = 0;
  #sender: AudioSender | undefined;
  #random: () => number;

  constructor(track: LocalAudioTrack, options: PublishAudioOptions, cid: string, random: () => number) {
    this.track = track;
    this.options = options;
    this.cid = cid;
    this.#random = random;
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
      audioFeatures: [...features],
    });
  }

  get #wantsRed(): boolean {
    return this.options.red ?? !this.isStereo;
  }

  /** Adds the track's media section. The sender starts when the section opens. */
  addTo(publisher: Publisher): void {
    const ssrc = 1 + Math.floor(this.#random() * 0xfffffffe);
    this.#ssrc = ssrc;
    this.#section = publisher.addTrack({
      kind: 'audio',
      codecs: this.#codecs(),
      extensions,
      msid: { streamId: this.options.stream || 'offhook', trackId: this.cid },
      sources: [{ ssrc, cname: 'offhook' }],
    });
  }

  /**
   * Starts to send once the section is open.
   *
   * @throws OffhookError `OFFHOOK_SERVER_REFUSED` when the server did not accept the codec
   */
  async start(signal: AbortSignal): Promise<void> {
    const section = this.#section;
    if (!section) throw new OffhookError('OFFHOOK_CLOSED', `track ${this.track.name} is not published`);
    const { media } = section;
    const answered = await untilAborted(section.opened, signal);
    const codec = (wanted: string) => answered.codecs.find(({ name }) => name.toLowerCase() === wanted);
    const opus = answered.rejected ? undefined : codec('opus');
    if (!opus) {
      throw new OffhookError(
        'OFFHOOK_SERVER_REFUSED',
        `the server took no Opus for track ${this.track.name}`,
        {
          stage: 'publish',
        },
      );
    }
    const red = codec('red');
    const idOf = (wanted: string) => answered.extensions.find(({ uri }) => uri === wanted)?.id;
    const midId = idOf(extensionUris.mid);
    const audioLevelExtensionId = idOf(extensionUris.audioLevel);
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
      random: this.#random,
      ...(audioLevelExtensionId === undefined ? {} : { audioLevelExtensionId }),
      ...(midId === undefined ? {} : { midExtension: { id: midId, mid: media.mid } }),
    });
    media.onPacket = (packet) => sender.handleRtcp(packet);
    this.#sender = sender;
    this.track.attach(sender);
    sender.start();
  }

  /** Stops sending; the track may be added to another publisher. */
  stop(): void {
    this.#sender?.close();
    this.#sender = undefined;
    this.track.attach(undefined);
  }

  removeFrom(publisher: Publisher): void {
    this.stop();
    if (this.#section) publisher.removeTrack(this.#section);
    this.#section = undefined;
  }

  /** The order of payload types is the order of preference: RED first where it is wanted. */
  #codecs(): Codec[] {
    const opus = {
      payloadType: payloadTypes.opus,
      name: 'opus',
      clockRate: 48_000,
      channels: 2,
      parameters: this.#opusParameters(),
      feedback: [],
    };
    if (!this.#wantsRed) return [opus];
    const parameters = `${payloadTypes.opus}/${payloadTypes.opus}`;
    return [{ ...opus, payloadType: payloadTypes.red, name: 'red', parameters }, opus];
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
