import { type AudioPayload, AudioReceiver } from '../../audio/index.js';
import type { FrameDecryptor } from '../../e2ee/index.js';
import type { LogSubject } from '../../logging/index.js';
import { extensionUris, type MediaSection, type MediaTrack } from '../../transport/index.js';
import { type VideoFormat, type VideoPayload, VideoReceiver, videoCodec } from '../../video/index.js';
import type { RoomEncryption } from '../encryption.js';
import type { TrackSection } from '../stats.js';
import type { OfferedTrack } from './received-sections.js';

interface ReceivedTrackOptions {
  trackSid: string;
  participantSid: string;
  kind: 'audio' | 'video';
  subject: LogSubject;
}

/**
 * A remote track's media. It outlives the peer connection it came over: after a full reconnect the same track comes
 * over another one, and its streams go on.
 */
export class ReceivedTrack {
  readonly trackSid: string;
  readonly participantSid: string;
  readonly kind: 'audio' | 'video';
  /** Of an audio track. */
  readonly audio: AudioReceiver | undefined;
  /** Of a video track. */
  readonly video: VideoReceiver | undefined;
  #media: MediaTrack | undefined;
  /** Undefined before there is one, or while there is none. */
  section: TrackSection | undefined;
  #roundTripMs: () => number | undefined = () => undefined;

  constructor({ trackSid, participantSid, kind, subject }: ReceivedTrackOptions) {
    this.trackSid = trackSid;
    this.participantSid = participantSid;
    this.kind = kind;
    const sendRtcp = (packet: Buffer) => void this.#media?.send(packet);
    // A packet that is lost twice is asked for again after a round trip: with a guess in its place the picture stands still.
    const roundTripMs = () => this.#roundTripMs();
    if (kind === 'video') this.video = new VideoReceiver({ format: noVideo, sendRtcp, subject, roundTripMs });
    else this.audio = new AudioReceiver({ payloadTypes: new Map(), sendRtcp, subject });
  }

  get isBound(): boolean {
    return this.#media !== undefined;
  }

  /** Takes the packets of `media` from now on, as its media section describes them. */
  bind({ media, section, feedback, roundTripMs, transport }: OfferedTrack): void {
    if (this.#media && this.#media !== media) this.#media.onPacket = () => {};
    this.#media = media;
    this.section = { mid: media.mid, trackId: this.trackSid, codecs: section.codecs, transport };
    this.#roundTripMs = roundTripMs;
    const { audio, video } = this;
    audio?.setPayloadTypes(audioPayloads(section));
    video?.setFormat(videoFormat(section), feedback);
    const receiver = audio ?? video;
    media.onPacket = (packet) => receiver?.handlePacket(packet);
  }

  /** Frames are encrypted, with a key of the participant. */
  decryptWith(encryption: RoomEncryption, identity: string): void {
    const { audio, video, trackSid } = this;
    if (audio) {
      const decryptor = encryption.decryptor(identity, trackSid, 'opus');
      audio.setDecryption((frame) => decryptor.decrypt(frame));
    }
    if (video) {
      let decryptor: FrameDecryptor | undefined;
      video.transform = (frame, { codec, isKeyFrame }) => {
        if (decryptor?.codec !== codec) decryptor = encryption.decryptor(identity, trackSid, codec);
        return decryptor.decrypt(frame, isKeyFrame);
      };
    }
  }

  /** The peer connection is gone; the track may come over another one. */
  unbind(): void {
    if (this.#media) this.#media.onPacket = () => {};
    this.#media = undefined;
    this.section = undefined;
  }

  /** Ends the track's streams. */
  close(): void {
    this.unbind();
    this.audio?.close();
    this.video?.close();
  }
}

function audioPayloads({ codecs }: MediaSection): Map<number, AudioPayload> {
  const payloads = new Map<number, AudioPayload>();
  for (const codec of codecs) {
    const name = codec.name.toLowerCase();
    if (name === 'opus' || name === 'red') payloads.set(codec.payloadType, name);
  }
  return payloads;
}

const noVideo: VideoFormat = {
  payloadTypes: new Map(),
  repairs: new Map(),
  orientationExtensionId: undefined,
  transportSequenceId: undefined,
};

function videoFormat({ codecs, sources = [], extensions }: MediaSection): VideoFormat {
  const payloadTypes = new Map<number, VideoPayload>();
  for (const { payloadType, name, parameters } of codecs) {
    const codec = videoCodec(name);
    const repairs = name.toLowerCase() === 'rtx' ? /apt=(\d+)/.exec(parameters)?.[1] : undefined;
    if (codec) payloadTypes.set(payloadType, { codec });
    else if (repairs !== undefined) payloadTypes.set(payloadType, { repairs: Number(repairs) });
  }
  const repairs = new Map<number, number>();
  for (const { ssrc, repairSsrc } of sources) if (repairSsrc !== undefined) repairs.set(repairSsrc, ssrc);
  const extensionId = (wanted: string) => extensions.find(({ uri }) => uri === wanted)?.id;
  const isReported = codecs.some(({ feedback }) => feedback.includes('transport-cc'));
  return {
    payloadTypes,
    repairs,
    orientationExtensionId: extensionId(extensionUris.videoOrientation),
    transportSequenceId: isReported ? extensionId(extensionUris.transportSequence) : undefined,
  };
}
