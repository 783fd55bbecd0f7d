import { type AudioFrame, AudioSource } from '../../audio/index.js';
import { withDeadline } from '../../deadlines/index.js';
import { describeError, OffhookError, type Stage } from '../../errors/index.js';
import { RemoteAudioTrack, Room, type RoomEvent } from '../../room/index.js';
import type { ProbeStep } from '../../signal/index.js';
import type { TimelineRecord } from '../../timeline/index.js';

export interface CallProbeOptions {
  url: string;
  /** Tokens of two participants of one room. */
  tokens: { speaker: string; listener: string };
  signal: AbortSignal;
}

const sampleRate = 48_000;
const frameSamples = sampleRate / 100;
const toneHz = 440;
const amplitude = 8_000;
const audibleLevel = 500;
const listenMs = 3_000;
const stepTimeoutMs = 15_000;
/** Beyond these, people notice. */
const acceptable = { lossPercent: 2, jitterMs: 30, rttMs: 300 };

type Finding = Omit<ProbeStep, 'name' | 'elapsedMs'>;

function toneFrame(at: number): AudioFrame {
  const sample = (_: unknown, i: number) =>
    amplitude * Math.sin((2 * Math.PI * toneHz * (at + i)) / sampleRate);
  const data = Int16Array.from({ length: frameSamples }, sample);
  return { data, sampleRate, numChannels: 1, samplesPerChannel: frameSamples };
}

function level({ data }: AudioFrame): number {
  return Math.sqrt(data.reduce((sum, sample) => sum + sample * sample, 0) / data.length);
}

/** A call between two participants of the doctor's own: one speaks a tone, the other listens. */
class CallProbe {
  readonly speaker = new Room({ name: 'doctor, speaking' });
  readonly listener = new Room({ name: 'doctor, listening' });
  #options: CallProbeOptions;
  #source = new AudioSource({ sampleRate, numChannels: 1, queueSizeMs: 100 });
  #isOver = false;

  constructor(options: CallProbeOptions) {
    this.#options = options;
  }

  async step(name: string, stage: Stage, work: () => Promise<Finding>): Promise<ProbeStep> {
    const startedMs = performance.now();
    const deadline = { stage, timeoutMs: stepTimeoutMs, signal: this.#options.signal, what: name };
    const finding = await withDeadline(deadline, work).catch(
      (error: unknown): Finding => ({
        outcome: 'failed',
        says: error instanceof OffhookError ? error.summary : describeError(error),
        advice: error instanceof OffhookError ? error.advice : undefined,
        code: error instanceof OffhookError ? error.code : undefined,
      }),
    );
    return { name, ...finding, elapsedMs: performance.now() - startedMs };
  }

  async publish(): Promise<Finding> {
    const { url, tokens, signal } = this.#options;
    await this.listener.connect(url, tokens.listener, { signal });
    await this.speaker.connect(url, tokens.speaker, { signal });
    void this.#speak().catch(() => {});
    const { sid } = await this.speaker.localParticipant.publishAudio(this.#source);
    return { outcome: 'ok', says: `the server took an audio track (${sid})` };
  }

  async subscribe(): Promise<Finding> {
    const track = await this.#subscribedTrack();
    const startedMs = performance.now();
    let audible = 0;
    let total = 0;
    for await (const frame of track.frames({ sampleRate, numChannels: 1, frameSizeMs: 10 })) {
      total += 1;
      if (level(frame) > audibleLevel) audible += 1;
      if (performance.now() - startedMs > listenMs) break;
    }
    return this.#judge(track, total === 0 ? 0 : (100 * audible) / total);
  }

  async close(): Promise<TimelineRecord[]> {
    this.#isOver = true;
    this.#source.close();
    await Promise.all([this.speaker.disconnect(), this.listener.disconnect()]);
    return [this.speaker.timeline.toJSON(), this.listener.timeline.toJSON()];
  }

  async #speak(): Promise<void> {
    for (let at = 0; !this.#isOver; at += frameSamples) await this.#source.captureFrame(toneFrame(at));
  }

  #subscribedTrack(): Promise<RemoteAudioTrack> {
    for (const { publications } of this.listener.remoteParticipants.values()) {
      for (const { track } of publications.values()) {
        if (track instanceof RemoteAudioTrack) return Promise.resolve(track);
      }
    }
    return new Promise((resolve) => {
      this.listener.onEvent = (event: RoomEvent) => {
        if (event.type === 'trackSubscribed' && event.track instanceof RemoteAudioTrack) resolve(event.track);
      };
    });
  }

  #judge(track: RemoteAudioTrack, audiblePercent: number): Finding {
    const { packetsReceived, packetsLost, jitterMs } = track.stats();
    const lossPercent = (100 * Math.max(0, packetsLost)) / Math.max(1, packetsReceived + packetsLost);
    const rttMs = this.listener.stats().publisher?.rttMs ?? this.listener.stats().signalRttMs;
    const rtt = rttMs === undefined ? 'round trip unknown' : `round trip ${Math.round(rttMs)} ms`;
    const says = `heard for ${audiblePercent.toFixed(0)} % of ${listenMs / 1000} s; ${lossPercent.toFixed(1)} % of packets lost, jitter ${jitterMs.toFixed(1)} ms, ${rtt}`;
    if (audiblePercent < 50) {
      return {
        outcome: 'failed',
        says,
        advice: 'Audio is sent and does not arrive: check UDP in both directions.',
      };
    }
    const isPoor =
      lossPercent > acceptable.lossPercent ||
      jitterMs > acceptable.jitterMs ||
      (rttMs ?? 0) > acceptable.rttMs;
    return isPoor
      ? {
          outcome: 'warning',
          says,
          advice: 'Calls will sound poor: use a nearer server, or a better network.',
        }
      : { outcome: 'ok', says };
  }
}

/**
 * Publishing and subscribing, with loss, jitter and round trip.
 *
 * @param keep is given the timelines of the two rooms
 */
export async function* probeCall(
  options: CallProbeOptions,
  keep: (timelines: TimelineRecord[]) => void,
): AsyncGenerator<ProbeStep> {
  const call = new CallProbe(options);
  try {
    const published = await call.step('publishing', 'publish', () => call.publish());
    yield published;
    if (published.outcome === 'ok') yield call.step('subscribing', 'subscribe', () => call.subscribe());
  } finally {
    keep(await call.close());
  }
}
