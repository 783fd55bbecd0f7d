import type { OwnedVideoBuffer, VideoBufferInfo } from '@livekit/rtc-ffi-bindings/proto/video_frame_pb.js';
import { OffhookError } from '../../errors/index.js';
import {
  bytesOfPicture,
  type Picture,
  type PictureFormat,
  planeSizes,
  type VideoCodec,
} from '../../video/index.js';
import type { Context } from '../context.js';
import type { EngineMemory } from '../engine-memory.js';
import type { InitOf } from '../messages.js';
import { FfiVideoCodec, VideoBufferType } from '../protocol.js';
import type { LentBuffer } from '../wire.js';

const formats: Readonly<Record<VideoBufferType, PictureFormat>> = {
  [VideoBufferType.RGBA]: 'rgba',
  [VideoBufferType.ABGR]: 'abgr',
  [VideoBufferType.ARGB]: 'argb',
  [VideoBufferType.BGRA]: 'bgra',
  [VideoBufferType.RGB24]: 'rgb24',
  [VideoBufferType.I420]: 'i420',
  [VideoBufferType.I420A]: 'i420a',
  [VideoBufferType.I422]: 'i422',
  [VideoBufferType.I444]: 'i444',
  [VideoBufferType.I010]: 'i010',
  [VideoBufferType.NV12]: 'nv12',
};
const types = new Map(
  Object.entries(formats).map(([type, format]) => [format, Number(type) as VideoBufferType]),
);
/** Without H.265. */
export const videoCodecs: Partial<Record<FfiVideoCodec, VideoCodec>> = {
  [FfiVideoCodec.VP8]: 'vp8',
  [FfiVideoCodec.H264]: 'h264',
  [FfiVideoCodec.AV1]: 'av1',
  [FfiVideoCodec.VP9]: 'vp9',
};
/** Wider or higher is no picture of a camera or a screen (WebRTC's codecs end at 16 383). */
const maxSide = 16_384;

/** @throws OffhookError `OFFHOOK_INVALID_REQUEST` */
export function formatOf(type: VideoBufferType | undefined): PictureFormat {
  const format = formats[type ?? VideoBufferType.RGBA];
  if (!format)
    throw new OffhookError('OFFHOOK_INVALID_REQUEST', `video buffers of type ${type} are not known`);
  return format;
}

/**
 * The picture that a request points to, in the memory that came with the request.
 *
 * @throws OffhookError `OFFHOOK_INVALID_REQUEST`
 */
export function pictureOf(info: VideoBufferInfo | undefined, memory: EngineMemory): Picture {
  const { type, width = 0, height = 0, dataPtr, stride, components = [] } = info ?? {};
  const format = formatOf(type);
  if (!(width >= 1 && height >= 1 && width <= maxSide && height <= maxSide)) {
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      `a picture of ${width} x ${height} pixels cannot be used`,
    );
  }
  let next = dataPtr ?? 0n;
  const planes = planeSizes(format, width, height).map(({ rowBytes, rows }, index) => {
    const component = components[index];
    const address = component?.dataPtr ?? next;
    const wanted = component?.stride || (components.length === 0 && index === 0 && stride) || rowBytes;
    if (wanted < rowBytes) {
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        `a stride of ${wanted} bytes is shorter than a row of ${rowBytes} bytes`,
      );
    }
    next = address + BigInt(wanted * rows);
    const bytes = memory.read(address, wanted * (rows - 1) + rowBytes);
    return { bytes, offset: 0, stride: wanted, rowBytes, rows };
  });
  return { format, width, height, planes };
}

/**
 * What a program is lent of a picture without gaps. rtc-node reads more of `NV12` and `I420A` than they have, where a
 * picture is wider than high.
 */
function bytesToLend(picture: Picture): Uint8Array {
  const { format, width, height } = picture;
  const bytes = bytesOfPicture(picture);
  if (format !== 'nv12' && format !== 'i420a') return bytes;
  const chromaWidth = (width + 1) >> 1;
  const read = width * height * (format === 'i420a' ? 2 : 1) + 2 * chromaWidth * chromaWidth;
  if (read <= bytes.length) return bytes;
  const padded = new Uint8Array(read);
  padded.set(bytes);
  return padded;
}

/** Lends a picture to the program: the buffer to send along, and its description. */
export function lendPicture(
  picture: Picture,
  context: Context,
): { lent: LentBuffer; buffer: InitOf<OwnedVideoBuffer> } {
  const { format, width, height } = picture;
  const lent = context.lendBuffer(bytesToLend(picture));
  let dataPtr = BigInt(lent.address);
  const sizes = planeSizes(format, width, height);
  const components = sizes.map(({ rowBytes, rows }) => {
    const component = { dataPtr, stride: rowBytes, size: rowBytes * rows };
    dataPtr += BigInt(component.size);
    return component;
  });
  const info = { type: types.get(format)!, width, height, dataPtr: BigInt(lent.address) };
  return {
    lent,
    buffer: {
      handle: { id: BigInt(lent.handle) },
      // A format of one plane has no components in the protocol.
      info:
        components.length === 1
          ? { ...info, stride: components[0]!.stride, components: [] }
          : { ...info, components },
    },
  };
}
