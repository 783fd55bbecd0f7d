import { AudioTrackFeature, PacketTrailerFeature } from '@livekit/protocol';
import { AudioSource } from '../../audio/index.js';
import {
  LocalAudioTrack,
  LocalVideoTrack,
  type PublishAudioOptions,
  type PublishVideoOptions,
} from '../../room/index.js';
import { EncodedVideoSource, VideoSource } from '../../video/index.js';
import type { Context } from '../context.js';
import { toFfiLocalTrack, toFfiPublication } from '../conversion/track.js';
import { videoCodecs } from '../conversion/video-frame.js';
import type { Handler } from '../handler.js';
import type { RequestOf } from '../messages.js';
import { FfiParticipant } from '../objects/ffi-participant.js';

export const createAudioTrack: Handler<'createAudioTrack'> = ({ name = '', sourceHandle }, { handles }) => {
  const track = new LocalAudioTrack(name, handles.get(sourceHandle, AudioSource));
  return { track: { handle: { id: BigInt(handles.add(track)) }, info: toFfiLocalTrack(track) } };
};

export const createVideoTrack: Handler<'createVideoTrack'> = ({ name = '', sourceHandle }, { handles }) => {
  const track = new LocalVideoTrack(
    name,
    handles.getOneOf<VideoSource | EncodedVideoSource>(sourceHandle, [VideoSource, EncodedVideoSource]),
  );
  return { track: { handle: { id: BigInt(handles.add(track)) }, info: toFfiLocalTrack(track) } };
};

export const publishTrack: Handler<'publishTrack'> = (request, context) => {
  const { room, local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  const track = localTrack(request.trackHandle, context);
  room.publishBegins();
  return context.call(
    'publishTrack',
    request.requestAsyncId,
    async () => {
      const publication =
        track instanceof LocalVideoTrack
          ? await local.publishTrack(track, videoOptions(request, track.name))
          : await local.publishTrack(track, audioOptions(request, track.name));
      return {
        message: {
          case: 'publication' as const,
          value: {
            handle: { id: room.localPublicationHandle(publication) },
            info: toFfiPublication(publication.info, false),
          },
        },
      };
    },
    () => room.publishEnded(),
  );
};

function localTrack(
  handle: bigint | undefined,
  { handles }: Pick<Context, 'handles'>,
): LocalAudioTrack | LocalVideoTrack {
  return handles.getOneOf<LocalAudioTrack | LocalVideoTrack>(handle, [LocalAudioTrack, LocalVideoTrack]);
}

const metadataFeatures = [
  PacketTrailerFeature.PTF_USER_TIMESTAMP,
  PacketTrailerFeature.PTF_FRAME_ID,
  PacketTrailerFeature.PTF_USER_DATA,
];

function videoOptions({ options }: RequestOf<'publishTrack'>, name: string): PublishVideoOptions {
  const { videoCodec, videoEncoding, simulcast, source, stream, scalabilityMode } = options ?? {};
  const features = new Set<number>(options?.frameMetadataFeatures);
  return {
    name,
    source: source as number | undefined,
    codec: videoCodec === undefined ? undefined : videoCodecs[videoCodec],
    maxBitrateBps: videoEncoding?.maxBitrate ? Number(videoEncoding.maxBitrate) : undefined,
    maxFramesPerSecond: videoEncoding?.maxFramerate || undefined,
    simulcast,
    scalabilityMode,
    frameMetadata: metadataFeatures.filter((feature) => features.has(feature)),
    stream,
  };
}

function audioOptions({ options }: RequestOf<'publishTrack'>, name: string): PublishAudioOptions {
  return {
    name,
    source: options?.source as number | undefined,
    bitrateBps: options?.audioEncoding?.maxBitrate ? Number(options.audioEncoding.maxBitrate) : undefined,
    dtx: options?.dtx,
    red: options?.red,
    stream: options?.stream,
    ...(options?.preconnectBuffer && { audioFeatures: [AudioTrackFeature.TF_PRECONNECT_BUFFER] }),
  };
}

export const unpublishTrack: Handler<'unpublishTrack'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('unpublishTrack', request.requestAsyncId, async () => {
    await local.unpublish(request.trackSid ?? '');
    return {};
  });
};

export const localTrackMute: Handler<'localTrackMute'> = ({ trackHandle, mute = false }, context) => {
  const track = localTrack(trackHandle, context);
  track.setMuted(mute);
  return { muted: track.muted };
};

export const setTrackSubscriptionPermissions: Handler<'setTrackSubscriptionPermissions'> = (
  { localParticipantHandle, allParticipantsAllowed = false, permissions },
  { handles },
) => {
  const { local } = handles.get(localParticipantHandle, FfiParticipant);
  local.setTrackSubscriptionPermissions(
    allParticipantsAllowed,
    permissions.map(({ participantIdentity = '', allowAll, allowedTrackSids }) => ({
      participantIdentity,
      allowAll,
      trackSids: allowedTrackSids,
    })),
  );
  return {};
};
