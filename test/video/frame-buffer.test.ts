import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RtpPacket } from '../../src/rtp/index.js';
import { FrameBuffer } from '../../src/video/frame-buffer.js';
import { vp8 } from '../../src/video/payload/vp8.js';

interface Delivered {
  index: number;
  isKeyFrame: boolean;
}

/** A sender of numbered VP8 frames that answers key frame requests and NACKs, over a link that loses and delays. */
class Scene {
  readonly delivered: Delivered[] = [];
  readonly buffer: FrameBuffer;
  readonly roundTripMs = 40;
  nowMs = 0;
  keyFrameRequests = 0;
  #sent = new Map<number, RtpPacket>();
  #inFlight: { atMs: number; packet: RtpPacket }[] = [];
  #sequence: number;
  #frames = 0;
  #keyFrameDue = true;
  readonly #lose: (sequence: number, isRepair: boolean) => boolean;
  readonly #delayMs: (sequence: number) => number;

  constructor(options: {
    firstSequence?: number;
    lose?: (sequence: number, isRepair: boolean) => boolean;
    delayMs?: (sequence: number) => number;
    repairs?: boolean;
  }) {
    this.#sequence = options.firstSequence ?? 0;
    this.#lose = options.lose ?? (() => false);
    this.#delayMs = options.delayMs ?? (() => 20);
    this.buffer = new FrameBuffer({
      format: vp8,
      onFrame: ({ data, isKeyFrame }) => this.delivered.push({ index: data.readUInt32BE(1), isKeyFrame }),
      onMissing: (sequences) => {
        if (options.repairs === false) return;
        for (const sequence of sequences) this.#repair(sequence);
      },
      onKeyFrameNeeded: () => {
        this.keyFrameRequests++;
        this.#keyFrameDue = true;
      },
    });
  }

  /** A frame every 33 ms, until `count` have been sent, then half a second more. */
  run(count: number): this {
    const endMs = count * 33 + 500;
    for (; this.nowMs < endMs; this.nowMs++) {
      if (this.nowMs % 33 === 0 && this.#frames < count) this.#sendFrame();
      const due = this.#inFlight.filter(({ atMs }) => atMs <= this.nowMs);
      this.#inFlight = this.#inFlight.filter(({ atMs }) => atMs > this.nowMs);
      for (const { packet } of due) this.buffer.insert(packet, this.nowMs, this.roundTripMs);
      if (this.nowMs % 20 === 0) this.buffer.tick(this.nowMs, this.roundTripMs);
    }
    return this;
  }

  get indices(): number[] {
    return this.delivered.map(({ index }) => index);
  }

  #sendFrame(): void {
    const isKeyFrame = this.#keyFrameDue;
    this.#keyFrameDue = false;
    const data = Buffer.alloc(isKeyFrame ? 6_000 : 2_500, 0xaa);
    data[0] = isKeyFrame ? 0 : 1;
    data.writeUInt32BE(this.#frames, 1);
    const payloads = vp8.packetize({ data, isKeyFrame, pictureId: this.#frames }, 1_000);
    for (const [index, payload] of payloads.entries()) {
      const sequence = this.#sequence++;
      const packet: RtpPacket = {
        payloadType: 96,
        marker: index === payloads.length - 1,
        sequenceNumber: sequence & 0xffff,
        timestamp: (this.#frames * 2_970 + 0xffff_0000) >>> 0,
        ssrc: 1,
        extensions: new Map(),
        payload,
      };
      this.#sent.set(sequence & 0xffff, packet);
      if (!this.#lose(sequence, false)) this.#fly(packet, this.#delayMs(sequence));
    }
    this.#frames++;
  }

  #repair(sequence: number): void {
    const packet = this.#sent.get(sequence);
    if (packet && !this.#lose(sequence, true)) this.#fly(packet, this.roundTripMs);
  }

  #fly(packet: RtpPacket, delayMs: number): void {
    this.#inFlight.push({ atMs: this.nowMs + delayMs, packet });
  }
}

/** Each frame follows the one before it, or is a key frame. */
function expectDecodable(delivered: readonly Delivered[]): void {
  expect(delivered[0]?.isKeyFrame ?? true).toBe(true);
  for (const [at, frame] of delivered.entries()) {
    const previous = delivered[at - 1];
    if (previous && !frame.isKeyFrame) expect(frame.index).toBe(previous.index + 1);
    if (previous) expect(frame.index).toBeGreaterThan(previous.index);
  }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe('a frame buffer', () => {
  test('hands over every frame, in order, on a link without loss, across the wrap of sequence numbers', () => {
    const scene = new Scene({ firstSequence: 65_500 }).run(60);
    expect(scene.indices).toEqual(range(60));
    expect(scene.buffer.stats).toMatchObject({ nackCount: 0, framesReceived: 60, keyFramesReceived: 1 });
  });

  test('puts packets in order without asking for those that are merely late by a few milliseconds', () => {
    const scene = new Scene({ delayMs: (sequence) => 20 + (sequence % 5) }).run(60);
    expect(scene.indices).toEqual(range(60));
    expect(scene.buffer.stats.nackCount).toBe(0);
  });

  test('gets every frame when one packet in ten is lost and sent again', () => {
    const scene = new Scene({ lose: (sequence, isRepair) => !isRepair && sequence % 10 === 7 }).run(90);
    expect(scene.indices).toEqual(range(90));
    expect(scene.keyFrameRequests).toBe(0);
    expect(scene.buffer.stats.nackCount).toBeGreaterThan(0);
  });

  test('asks for a key frame and goes on with it when a packet cannot be had again', () => {
    const scene = new Scene({ lose: (sequence) => sequence === 40, repairs: false }).run(60);
    expectDecodable(scene.delivered);
    expect(scene.keyFrameRequests).toBe(1);
    expect(scene.indices.at(-1)).toBe(59);
    expect(scene.indices.length).toBeGreaterThan(30);
  });

  test('asks for a key frame when it comes in the middle of a stream, and until it gets one', () => {
    const scene = new Scene({ lose: (sequence, isRepair) => !isRepair && sequence < 20 }).run(60);
    expectDecodable(scene.delivered);
    expect(scene.keyFrameRequests).toBeGreaterThan(0);
    expect(scene.indices.at(-1)).toBe(59);
  });

  test('never hands over a frame that cannot be decoded, with any loss, order or repetition', () => {
    fc.assert(
      fc.property(
        fc.infiniteStream(fc.integer({ min: 0, max: 99 })),
        fc.integer({ min: 0, max: 40 }),
        fc.boolean(),
        (random, lossPercent, repairs) => {
          const next = () => random.next().value as number;
          const scene = new Scene({ repairs, lose: () => next() < lossPercent, delayMs: () => 10 + next() });
          scene.run(40);
          expectDecodable(scene.delivered);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('begins again when the sender does, with sequence numbers of its own', () => {
    const scene = new Scene({}).run(5);
    const data = Buffer.alloc(50);
    data.writeUInt32BE(1_000, 1);
    const [payload] = vp8.packetize({ data, isKeyFrame: true, pictureId: 1 }, 1_000);
    scene.buffer.insert(
      {
        payloadType: 96,
        marker: true,
        sequenceNumber: 30_000,
        timestamp: 5,
        ssrc: 1,
        extensions: new Map(),
        payload: payload as Buffer,
      },
      scene.nowMs,
      40,
    );
    expect(scene.indices.at(-1)).toBe(1_000);
  });
});
