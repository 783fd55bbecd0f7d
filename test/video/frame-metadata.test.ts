import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type FrameMetadata,
  maxUserDataBytes,
  splitMetadata,
  trailerLength,
  withMetadata,
} from '../../src/video/frame-metadata.js';
import { av1 } from '../../src/video/payload/av1.js';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((value) => Buffer.from(value));
/** Metadata of which each field may be missing; it may be more than fits. */
const anyMetadata: fc.Arbitrary<FrameMetadata> = fc.record(
  {
    userTimestamp: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    frameId: fc.nat(0xffffffff),
    userData: bytes(300),
  },
  { requiredKeys: [] },
);
/** An OBU with a size field, as encoders write them. */
const obu = (type: number, content: Buffer) =>
  Buffer.concat([Buffer.of((type << 3) | 2, content.length), content]);
const av1Frame = fc
  .tuple(fc.boolean(), fc.boolean(), bytes(127))
  .map(([hasDelimiter, hasSequence, picture]) =>
    Buffer.concat([
      ...(hasDelimiter ? [obu(2, Buffer.alloc(0))] : []),
      ...(hasSequence ? [obu(1, Buffer.alloc(11, 1))] : []),
      obu(6, picture),
    ]),
  );

/** What arrives of it: zeros are as good as nothing, and data that does not fit is left out. */
function arriving({ userTimestamp, frameId, userData }: FrameMetadata): FrameMetadata | undefined {
  const fits = userData && userData.length <= maxUserDataBytes({ userTimestamp, frameId });
  const rest = {
    ...(userTimestamp ? { userTimestamp } : {}),
    ...(frameId ? { frameId } : {}),
    ...(fits && userData.length > 0 ? { userData } : {}),
  };
  return Object.keys(rest).length > 0 ? rest : undefined;
}

function expectThrough(frame: Buffer, metadata: FrameMetadata, codec: 'vp8' | 'av1'): void {
  const { data, metadata: read } = splitMetadata(withMetadata(frame, metadata, codec), codec);
  expect(data.equals(frame)).toBe(true);
  expect(read).toEqual(arriving(metadata));
}

describe('the metadata of a frame', () => {
  test('is read as it was written, and the frame too', () => {
    fc.assert(
      // A frame that itself ends with a trailer is no frame of an encoder.
      fc.property(
        bytes(2_000).filter((frame) => trailerLength(frame) === 0),
        anyMetadata,
        (frame, metadata) => expectThrough(frame, metadata, 'vp8'),
      ),
    );
  });

  test('is an OBU in AV1, which travels in packets as the others', () => {
    fc.assert(
      fc.property(av1Frame, anyMetadata, (frame, metadata) => {
        expectThrough(frame, metadata, 'av1');
        const sent = withMetadata(frame, metadata, 'av1');
        const payloads = av1.packetize({ data: sent, isKeyFrame: true, pictureId: 0 }, 100);
        expect(splitMetadata(av1.assemble(payloads)!, 'av1').metadata).toEqual(arriving(metadata));
      }),
    );
  });

  test('that would be a start code of H.264 is left out there, and nothing else', () => {
    fc.assert(
      fc.property(anyMetadata, (metadata) => {
        const sent = withMetadata(Buffer.of(1), metadata, 'h264');
        expect(sent.includes(Buffer.of(0, 0, 1))).toBe(false);
      }),
    );
    const startCode = { frameId: 0xfffffe01 };
    expect(withMetadata(Buffer.of(1), startCode, 'h264')).toEqual(Buffer.of(1));
    expect(splitMetadata(withMetadata(Buffer.of(1), startCode, 'vp8'), 'vp8').metadata).toEqual(startCode);
    expect(splitMetadata(withMetadata(Buffer.of(1), { frameId: 1 }, 'h264'), 'h264').metadata).toEqual({
      frameId: 1,
    });
  });

  test('has the bytes that LiveKit’s native engine writes', () => {
    const metadata = { userTimestamp: 0x0102030405060708n, frameId: 0x0a0b0c0d, userData: Buffer.of(7) };
    expect(withMetadata(Buffer.of(1), metadata, 'vp8').toString('hex')).toBe(
      `01${'fef7fefdfcfbfaf9f8f7'}${'fdfbf5f4f3f2'}${'fcfef8'}${'e7'}4c4b5453`,
    );
  });

  test('that is unknown or cut short is passed over', () => {
    const invert = (hex: string) => Buffer.from(hex, 'hex').map((byte) => byte ^ 0xff);
    const trailer = (fields: string) => {
      const content = Buffer.from(invert(fields));
      return Buffer.concat([
        Buffer.of(9),
        content,
        Buffer.of((content.length + 5) ^ 0xff),
        Buffer.from('LKTS'),
      ]);
    };
    const read = (fields: string) => splitMetadata(trailer(fields), 'vp8').metadata;
    expect(read('0902aabb02040000002a')).toEqual({ frameId: 42 });
    expect(read('02040000002a01')).toEqual({ frameId: 42 });
    expect(read('02040000002a0108ff')).toEqual({ frameId: 42 });
    expect(read('0203000001')).toBeUndefined();
    expect(read('')).toBeUndefined();
  });

  test('may be anything', () => {
    fc.assert(
      fc.property(bytes(300), fc.nat(255), fc.constantFrom('vp8', 'av1'), (content, length, codec) => {
        const end = Buffer.concat([content, Buffer.of(length), Buffer.from('LKTS')]);
        const frame = codec === 'av1' && end.length < 127 ? obu(5, Buffer.concat([Buffer.of(31), end])) : end;
        const { data } = splitMetadata(frame, codec as 'vp8' | 'av1');
        expect(data.length).toBeLessThanOrEqual(frame.length);
      }),
    );
  });
});
