import type { MessageType } from '@bufbuild/protobuf';
import { describeError, OffhookError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import { EncodedVideoSource } from '../video/index.js';
import type { Context } from './context.js';
import { videoCodecs } from './conversion/video-frame.js';
import {
  Accepted,
  Anything,
  AsyncId,
  Callback,
  CaptureEncoded,
  encodeLater,
  Feedback,
  InError,
  laterContent,
  NewCaptureSource,
  RateControl,
  TakeFeedback,
} from './later-messages.js';
import type { Status } from './request-table.js';

/*
 * Requests of FFI 0.12.80 to 0.13.2, as Python's `livekit` speaks it: the bindings that this package uses, of 0.12.73, do
 * not have them. All are of video that is captured or encoded outside of the engine.
 */

const log = createLogger('ffi');

// biome-ignore lint/suspicious/noExplicitAny: fields of messages that are made at run time.
type Content = any;

interface LaterRequest {
  name: string;
  /** What the request is made of, as far as it matters. */
  type: MessageType;
  response: MessageType;
  /** The fields of the response. */
  respond(content: Content, context: Context): object;
  status: Status;
  note: string;
  test: string;
}

const ofLater = 'Of FFI 0.12.80 and later, as Python speaks it.';
/** Sources that make pictures themselves, of the native engine when it is built for that: LiveKit's own is not. */
const noCapture = 'offhook makes no pictures of its own: capture frames with a video source';
const refused = {
  status: 'refused',
  note: `${ofLater} As by LiveKit’s own build of the native engine: test pictures are the program’s to make.`,
  test: 'ffi/later-requests',
} as const;

function refuse(name: string): string {
  const error = new OffhookError('OFFHOOK_NOT_SUPPORTED', `request ${name}: ${noCapture}`);
  log.warn(describeError(error));
  return describeError(error);
}

/** By field number in FfiRequest and FfiResponse. */
const laterRequests: ReadonlyMap<number, LaterRequest> = new Map<number, LaterRequest>([
  [
    87,
    {
      name: 'captureEncodedVideoFrame',
      type: CaptureEncoded,
      response: Accepted,
      respond: captureEncoded,
      status: 'works',
      note: `${ofLater} VP8, VP9, H.264 and AV1, with a frame’s metadata.`,
      test: 'python/encoded-video',
    },
  ],
  [
    88,
    {
      name: 'takeEncodedVideoSourceFeedback',
      type: TakeFeedback,
      response: Feedback,
      respond: takeFeedback,
      status: 'works',
      note: ofLater,
      test: 'python/encoded-video',
    },
  ],
  [
    89,
    {
      name: 'startCapture',
      type: Anything,
      response: InError,
      respond: () => ({ error: refuse('startCapture') }),
      ...refused,
    },
  ],
  [
    90,
    {
      name: 'stopCapture',
      type: Anything,
      response: InError,
      respond: () => ({ error: refuse('stopCapture') }),
      ...refused,
    },
  ],
  [
    91,
    {
      name: 'newCaptureSource',
      type: NewCaptureSource,
      response: AsyncId,
      respond: respondToNewCaptureSource,
      ...refused,
    },
  ],
]);
const newCaptureSourceEvent = 47;

/** Their rows in docs/compatibility.md. */
export const laterRequestRows = Object.fromEntries(
  [...laterRequests.values()].map(({ name, status, note, test }) => [name, { status, note, test }]),
);

/**
 * Answers a request that the bindings do not know.
 *
 * @returns the encoded FfiResponse
 * @throws OffhookError `OFFHOOK_UNKNOWN_HANDLE`, `OFFHOOK_INVALID_REQUEST`
 */
export function answerLaterRequest(request: Uint8Array, context: Context): Uint8Array {
  for (const [number, { type, response, respond }] of laterRequests) {
    const content = laterContent(request, number, type);
    if (content) return encodeLater(number, response, respond(content, context));
  }
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'the request is empty, or of a later protocol');
}

/** Once for each frame. */
function captureEncoded(content: Content, { handles, memory }: Context): object {
  const { sourceHandle, buffer, width = 0, height = 0, timestampUs = 0n, metadata } = content;
  const source = handles.get(sourceHandle, EncodedVideoSource);
  // What is zero is not in the message.
  const codec = videoCodecs[(content.codec ?? 0) as keyof typeof videoCodecs];
  const bytes = memory.read(buffer?.dataPtr, Number(buffer?.dataLen ?? 0));
  if (!codec || bytes.length === 0) return { accepted: false };
  const accepted = source.captureFrame({
    data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
    codec,
    isKeyFrame: (content.frameType ?? 0) === 0,
    width,
    height,
    timestampUs: Number(timestampUs),
    metadata,
  });
  return { accepted };
}

function takeFeedback({ sourceHandle }: Content, { handles }: Context): object {
  const { keyFrameRequested, rate } = handles.get(sourceHandle as bigint, EncodedVideoSource).takeFeedback();
  return {
    keyframeRequested: keyFrameRequested,
    ...(rate && {
      rateControl: new RateControl({
        targetBitrateBps: BigInt(Math.round(rate.bitrateBps)),
        framerateFps: rate.framesPerSecond,
      } as object),
    }),
  };
}

/** The callback says that there is no such source. */
function respondToNewCaptureSource({ requestAsyncId }: Content, { handles, outbox }: Context): object {
  const asyncId = requestAsyncId ?? BigInt(handles.nextId());
  const error = refuse('newCaptureSource');
  setImmediate(() => outbox.send(encodeLater(newCaptureSourceEvent, Callback, { asyncId, error })));
  return { asyncId };
}
