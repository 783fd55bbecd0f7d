import { type AudioStream, checkStreamOptions } from '../../audio/index.js';
import { OffhookError } from '../../errors/index.js';
import { RemoteAudioTrack, type TrackStreamOptions } from '../../room/index.js';
import type { Context } from '../context.js';
import { encodeFrameEvent } from '../conversion/audio-stream-event.js';
import type { Handler } from '../handler.js';
import { FfiParticipant } from '../objects/ffi-participant.js';
import { ParticipantStream } from '../objects/participant-stream.js';
import { AudioStreamType } from '../protocol.js';

/** As much of a stream waits for a program that is blocked and did not say how much it wants. */
const maxWaitingMs = 30_000;

interface StreamRequest {
  type?: AudioStreamType;
  sampleRate?: number;
  numChannels?: number;
  audioFilterModuleId?: string;
  audioFilterOptions?: string;
  frameSizeMs?: number;
  queueSizeFrames?: number;
}

/** What the program holds a handle of: the stream, once it is open. */
class StreamHandle {
  stream: AudioStream | ParticipantStream | undefined;
}

export const newAudioStream: Handler<'newAudioStream'> = (request, context) => {
  const track = context.handles.get(request.trackHandle, RemoteAudioTrack);
  return openStream(request, context, (options) => track.openStream(options));
};

export const audioStreamFromParticipant: Handler<'audioStreamFromParticipant'> = (request, context) => {
  const { room, participant } = context.handles.get(request.participantHandle, FfiParticipant);
  return openStream(
    request,
    context,
    (options) =>
      new ParticipantStream(room, participant.identity, {
        source: request.trackSource,
        open: (track, onEnd) =>
          track instanceof RemoteAudioTrack ? track.openStream({ ...options, onEnd }) : undefined,
        onEnd: options.onEnd,
      }),
  );
};

function openStream(
  request: StreamRequest,
  context: Context,
  open: (options: TrackStreamOptions) => AudioStream | ParticipantStream,
) {
  if (request.type !== undefined && request.type !== AudioStreamType.AUDIO_STREAM_NATIVE) {
    throw new OffhookError(
      'OFFHOOK_NOT_SUPPORTED',
      `audio streams of type ${request.type} are not supported`,
    );
  }
  const format = {
    sampleRate: request.sampleRate ?? 48_000,
    numChannels: request.numChannels ?? 1,
    frameSizeMs: request.frameSizeMs,
    queueSizeFrames: request.queueSizeFrames || Math.ceil(maxWaitingMs / (request.frameSizeMs || 10)),
  };
  checkStreamOptions(format);
  const { handles, outbox } = context;
  const held = new StreamHandle();
  const handle = handles.add(held, () => held.stream?.close());
  const streamHandle = BigInt(handle);
  const opened = outbox.open({ stream: 'audioStreamEvent', streamHandle });
  try {
    held.stream = open({
      ...format,
      ...(request.audioFilterModuleId && {
        filter: {
          moduleId: request.audioFilterModuleId,
          options: parseOptions(request.audioFilterOptions),
        },
      }),
      onFrame: (frame) => {
        const { data } = frame;
        const buffer = context.lendBuffer(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
        const taken = context.untilTaken();
        outbox.send(encodeFrameEvent(handle, frame, buffer), [buffer], handle);
        return taken;
      },
      onEnd: () => {
        outbox.close(opened);
        outbox.emit({
          case: 'audioStreamEvent',
          value: { streamHandle, message: { case: 'eos', value: {} } },
        });
      },
    });
  } catch (error) {
    outbox.close(opened);
    handles.drop(handle);
    throw error;
  }
  return { stream: { handle: { id: streamHandle }, info: { type: AudioStreamType.AUDIO_STREAM_NATIVE } } };
}

/** @throws OffhookError `OFFHOOK_INVALID_REQUEST` */
function parseOptions(json: string | undefined): unknown {
  if (!json) return undefined;
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'audio_filter_options is not JSON', { cause });
  }
}
