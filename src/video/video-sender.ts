import { type CongestionControl, type ControlledStream, isRtcp, parseRtcp } from '../rtp/index.js';
import type { VideoCodec } from './codec.js';
import { convertPicture } from './convert.js';
import { type EncodedVideoFrame, EncodedVideoSource } from './encoded-video-source.js';
import type { Picture, VideoFrame } from './picture.js';
import { scalePicture } from './scale.js';
import {
  VideoLayer,
  type VideoLayerContext,
  type VideoLayerOptions,
  type VideoLayerStats,
} from './video-layer.js';
import type { VideoSource, VideoSourceStats } from './video-source.js';

export interface VideoSenderOptions extends Omit<VideoLayerContext, 'send' | 'sendAgain'> {
  source: VideoSource | EncodedVideoSource;
  /** The lowest first. */
  layers: readonly VideoLayerOptions[];
  /** Takes RTP and RTCP packets. */
  send: (packet: Buffer) => void;
  /** Of the transport, where it was agreed that its packets are numbered. */
  congestion?: CongestionControl | undefined;
}

export interface VideoSenderStats {
  codec: VideoCodec;
  /** The lowest first. */
  layers: VideoLayerStats[];
  source: VideoSourceStats;
}

const minBitrateBps = 60_000;
const adaptIntervalMs = 2_000;
const heavyLoss = 0.1;
const lightLoss = 0.02;
/** With less of what a layer wants it is left out. */
const leastShare = 0.5;
/** A layer that was left out returns when the path carries so much more than it needs. */
const returnShare = 0.75;
/** With so much before it a picture would come too late. */
const maxQueueMs = 250;

/**
 * Sends one source, in one layer or in several. What receivers lost is sent again, and a key frame is made when one
 * asks; a path that carries less than is wanted gets lower layers, less of them, and fewer frames.
 */
export class VideoSender implements ControlledStream {
  #options: VideoSenderOptions;
  #layers: VideoLayer[];
  #watched: Set<VideoLayer>;
  #muted = false;
  #closed = false;
  /** What all layers together may send. */
  #bitrateBps: number;
  /** Where nothing but loss is known of the path. */
  #adaptedMs = 0;

  constructor(options: VideoSenderOptions) {
    const { layers, send, congestion, source } = options;
    this.#options = options;
    const context: VideoLayerContext = {
      ...options,
      send: congestion ? (packet) => (isRtcp(packet) ? send(packet) : congestion.send(packet)) : send,
      sendAgain: send,
      ...(source instanceof EncodedVideoSource ? { onKeyFrameWanted: () => source.requestKeyFrame() } : {}),
    };
    this.#layers = layers.map((layer) => new VideoLayer(layer, context));
    this.#watched = new Set(this.#layers);
    this.#bitrateBps = this.wantedBps;
  }

  start(): void {
    this.#options.source.attach(this.#sink);
    this.#options.congestion?.add(this);
  }

  /** While muted nothing is sent. */
  setMuted(muted: boolean): void {
    if (this.#muted && !muted) for (const layer of this.#layers) layer.wantKeyFrame();
    this.#muted = muted;
  }

  /** Whether somebody watches each layer, the lowest first; nothing else is encoded (dynacast). */
  setWatched(watched: readonly boolean[]): void {
    this.#watched = new Set(this.#layers.filter((_layer, index) => watched[index] ?? true));
    this.#options.congestion?.shareOut();
    this.#share();
  }

  get wantedBps(): number {
    let wanted = 0;
    for (const layer of this.#watched) wanted += layer.plan.maxBitrateBps;
    return wanted;
  }

  onBitrate(bitrateBps: number): void {
    this.#bitrateBps = bitrateBps;
    this.#share();
  }

  sendPadding(): boolean {
    return !this.#muted && this.#layers.some((layer) => layer.sendPadding());
  }

  /** Takes reports, requests for lost packets, and requests for key frames. */
  handleRtcp(packet: Buffer): void {
    if (this.#closed) return;
    for (const report of parseRtcp(packet)) {
      if (report.type === 'transportFeedback') this.#options.congestion?.handleFeedback(report);
      if (report.type === 'pli') this.#layers.find(({ ssrc }) => ssrc === report.mediaSsrc)?.handlePli();
      if (report.type !== 'receiverReport' && report.type !== 'senderReport') continue;
      const losses = report.reports.filter(({ ssrc }) => this.#layers.some((layer) => layer.ssrc === ssrc));
      if (losses.length > 0 && !this.#options.congestion)
        this.#adapt(Math.max(...losses.map(({ fractionLost }) => fractionLost)));
    }
    for (const layer of this.#layers) layer.handleRtcp(packet);
  }

  stats(): VideoSenderStats {
    const { codec, source } = this.#options;
    return { codec, layers: this.#layers.map((layer) => layer.stats()), source: source.stats() };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.source.detach(this.#sink);
    this.#options.congestion?.remove(this);
    for (const layer of this.#layers) layer.close();
  }

  #sink = {
    onFrame: ({ picture, rotation, metadata }: VideoFrame): void => {
      if (this.#closed || this.#muted) return;
      if ((this.#options.congestion?.queueMs ?? 0) > maxQueueMs) return;
      const nowMs = performance.now();
      let larger: Picture = picture;
      // From the largest down, each made of the one before.
      for (let index = this.#layers.length - 1; index >= 0; index--) {
        const layer = this.#layers[index]!;
        if (!layer.wants(nowMs)) continue;
        larger = scaledTo(larger, picture, layer.plan.scale);
        layer.encode(larger, { rotation, metadata, atMs: nowMs });
      }
    },
    onEncodedFrame: (frame: EncodedVideoFrame): boolean => {
      const { codec, congestion } = this.#options;
      if (frame.codec !== codec) return false;
      if (this.#closed) return true;
      const isSent = !this.#muted && (congestion?.queueMs ?? 0) <= maxQueueMs;
      for (const layer of this.#layers) layer.takeEncoded(frame, isSent, performance.now());
      return true;
    },
  };

  /** The lowest layers first: receivers on a narrow path watch those. */
  #share(): void {
    let leftBps = this.#bitrateBps;
    let isFull = false;
    for (const [index, layer] of this.#layers.entries()) {
      if (!this.#watched.has(layer)) {
        layer.setActive(false);
        continue;
      }
      const { maxBitrateBps } = layer.plan;
      const least = maxBitrateBps * (layer.isActive ? leastShare : returnShare);
      const isFirst = this.#layers.slice(0, index).every((lower) => !this.#watched.has(lower));
      isFull ||= !isFirst && leftBps < least;
      layer.setActive(!isFull);
      if (isFull) continue;
      const bitrateBps = Math.max(minBitrateBps, Math.min(maxBitrateBps, leftBps));
      layer.setBitrate(bitrateBps);
      const { source } = this.#options;
      if (source instanceof EncodedVideoSource)
        source.setRate({ bitrateBps, framesPerSecond: layer.plan.maxFramesPerSecond });
      leftBps -= bitrateBps;
    }
  }

  /** Less where much is lost, slowly more where little is. */
  #adapt(fractionLost: number): void {
    const nowMs = performance.now();
    if (nowMs - this.#adaptedMs < adaptIntervalMs) return;
    const before = this.#bitrateBps;
    if (fractionLost > heavyLoss) this.#bitrateBps = Math.max(minBitrateBps, before * (1 - fractionLost / 2));
    else if (fractionLost < lightLoss) this.#bitrateBps = Math.min(this.wantedBps, before * 1.25);
    if (this.#bitrateBps === before) return;
    this.#adaptedMs = nowMs;
    this.#share();
  }
}

/** `larger` at the size that `original` divided by `scale` has. */
function scaledTo(larger: Picture, original: Picture, scale: number): Picture {
  const width = Math.max(2, Math.round(original.width / scale));
  const height = Math.max(2, Math.round(original.height / scale));
  if (larger.width === width && larger.height === height) return larger;
  let picture = larger.format === 'i420' ? larger : convertPicture(larger, 'i420');
  // One step goes to half the size at most.
  while (picture.width >= 2 * width && picture.height >= 2 * height) {
    picture = scalePicture(picture, picture.width >> 1, picture.height >> 1);
  }
  return picture.width === width && picture.height === height
    ? picture
    : scalePicture(picture, width, height);
}
