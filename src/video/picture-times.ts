import { FrameRate } from './frame-rate.js';

export interface PictureTimesStats {
  framesPerSecond: number;
  /** Frames that were handed to the decoder, and the sum of the times that their first packets waited for that. */
  framesEmitted: number;
  totalBufferMs: number;
  /** Sums over the pictures that came out: in the decoder, and since their first packet. */
  totalDecodeMs: number;
  totalProcessingMs: number;
  /** Sums of the times between pictures, and of their squares in s². */
  totalInterFrameMs: number;
  totalSquaredInterFrameS2: number;
  /** Pictures that came so late after the one before that it shows (W3C webrtc-stats, `freezeCount`). */
  freezeCount: number;
  totalFreezeMs: number;
}

const averagedFrames = 30;
const leastFreezeMs = 150;

/** How long frames wait, are decoded, and lie apart. Once for each frame. */
export class PictureTimes {
  #rate = new FrameRate();
  #stats: Omit<PictureTimesStats, 'framesPerSecond'> = {
    framesEmitted: 0,
    totalBufferMs: 0,
    totalDecodeMs: 0,
    totalProcessingMs: 0,
    totalInterFrameMs: 0,
    totalSquaredInterFrameS2: 0,
    freezeCount: 0,
    totalFreezeMs: 0,
  };
  #lastMs: number | undefined;
  #averageMs = 0;

  handedOver(firstPacketMs: number, nowMs: number): void {
    this.#stats.framesEmitted++;
    this.#stats.totalBufferMs += nowMs - firstPacketMs;
  }

  decoded(firstPacketMs: number, handedOverMs: number, nowMs: number): void {
    this.#rate.count(nowMs);
    const stats = this.#stats;
    stats.totalDecodeMs += nowMs - handedOverMs;
    stats.totalProcessingMs += nowMs - firstPacketMs;
    if (this.#lastMs !== undefined) this.#apart(nowMs - this.#lastMs);
    this.#lastMs = nowMs;
  }

  /** What comes next does not follow what came before: a pause of the program or the sender is no freeze. */
  restart(): void {
    this.#lastMs = undefined;
  }

  stats(nowMs: number): PictureTimesStats {
    return { ...this.#stats, framesPerSecond: this.#rate.perSecond(nowMs) };
  }

  #apart(intervalMs: number): void {
    const stats = this.#stats;
    stats.totalInterFrameMs += intervalMs;
    stats.totalSquaredInterFrameS2 += (intervalMs / 1_000) ** 2;
    if (this.#averageMs > 0 && intervalMs > Math.max(3 * this.#averageMs, this.#averageMs + leastFreezeMs)) {
      stats.freezeCount++;
      stats.totalFreezeMs += intervalMs;
    }
    const before = this.#averageMs || intervalMs;
    this.#averageMs = before + (intervalMs - before) / averagedFrames;
  }
}
