import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { RemoteVideoTrack } from '../../room/index.js';
import { convertPicture, flipped, type VideoStreamOptions } from '../../video/index.js';
import type { Context } from '../context.js';
import { formatOf, lendPicture, pictureOf } from '../conversion/video-frame.js';
import type { Handler } from '../handler.js';
import { FfiParticipant } from '../objects/ffi-participant.js';
import { ParticipantStream } from '../objects/participant-stream.js';
import { type VideoBufferType, VideoStreamType } from '../protocol.js';

const log = createLogger('ffi');

interface StreamRequest {
  type?: VideoStreamType;
  format?: VideoBufferType;
  queueSizeFrames?: number;
}

/** What the program holds a handle of: the stream, once it is open. */
class VideoStreamHandle {
  stream: { close(): void } | undefined;
}

export const newVideoStream: Handler<'newVideoStream'> = (request, context) => {
  const track = context.handles.get(request.trackHandle, RemoteVideoTrack);
  return openStream(request, context, (options) => track.openStream(options));
};

export const videoStreamFromParticipant: Handler<'videoStreamFromParticipant'> = (request, context) => {
  const { room, participant } = context.handles.get(request.participantHandle, FfiParticipant);
  return openStream(
    request,
    context,
    (options) =>
      new ParticipantStream(room, participant.identity, {
        source: request.trackSource,
        open: (track, onEnd) =>
          track instanceof RemoteVideoTrack ? track.openStream({ ...options, onEnd }) : undefined,
        onEnd: options.onEnd,
      }),
  );
};

function openStream(
  request: StreamRequest,
  context: Context,
  open: (options: VideoStreamOptions) => { close(): void },
) {
  if (request.type !== undefined && request.type !== VideoStreamType.VIDEO_STREAM_NATIVE) {
    throw new OffhookError(
      'OFFHOOK_NOT_SUPPORTED',
      `video streams of type ${request.type} are not supported`,
    );
  }
  const { handles, outbox } = context;
  const held = new VideoStreamHandle();
  const handle = handles.add(held, () => held.stream?.close());
  const streamHandle = BigInt(handle);
  const opened = outbox.open({ stream: 'videoStreamEvent', streamHandle });
  try {
    held.stream = open({
      ...(request.format === undefined ? {} : { format: formatOf(request.format) }),
      queueSizeFrames: request.queueSizeFrames || 1,
      onFrame: ({ picture, timestampUs, rotation, metadata }) => {
        const { lent, buffer } = lendPicture(picture, context);
        const taken = context.untilTaken();
        outbox.emit(
          {
            case: 'videoStreamEvent',
            value: {
              streamHandle,
              message: {
                case: 'frameReceived',
                value: { buffer, timestampUs: BigInt(timestampUs), rotation: rotation / 90, metadata },
              },
            },
          },
          [lent],
          handle,
        );
        return taken;
      },
      onEnd: (error) => {
        if (error !== undefined) {
          log.error(`a video stream ended: ${describeError(error)}`);
          context.library?.failed(streamHandle, error);
        }
        outbox.close(opened);
        outbox.emit({
          case: 'videoStreamEvent',
          value: { streamHandle, message: { case: 'eos', value: {} } },
        });
      },
    });
  } catch (error) {
    outbox.close(opened);
    handles.drop(handle);
    throw error;
  }
  return { stream: { handle: { id: streamHandle }, info: { type: VideoStreamType.VIDEO_STREAM_NATIVE } } };
}

export const videoConvert: Handler<'videoConvert'> = ({ buffer, dstType, flipY }, context) => {
  const picture = pictureOf(buffer, context.memory);
  const converted = convertPicture(flipY ? flipped(picture) : picture, formatOf(dstType));
  const { lent, buffer: owned } = lendPicture(converted, context);
  context.answerWith(lent);
  return { message: { case: 'buffer', value: owned } };
};
