import { AudioTrackFeature } from '@livekit/protocol';
import { AudioSource } from '../../audio/index.js';
import { LocalAudioTrack, type PublishAudioOptions } from '../../room/index.js';
import { toFfiLocalTrack, toFfiPublication } from '../conversion/track.js';
import type { Handler } from '../handler.js';
import type { RequestOf } from '../messages.js';
import { FfiParticipant } from '../objects/ffi-participant.js';

export const createAudioTrack: Handler<'createAudioTrack'> = ({ name = '', sourceHandle }, { handles }) => {
  const track = new LocalAudioTrack(name, handles.get(sourceHandle, AudioSource));
  return { track: { handle: { id: BigInt(handles.add(track)) }, info: toFfiLocalTrack(track) } };
};

export const publishTrack: Handler<'publishTrack'> = (request, context) => {
  const { room, local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  const track = context.handles.get(request.trackHandle, LocalAudioTrack);
  room.publishBegins();
  return context.call(
    'publishTrack',
    request.requestAsyncId,
    async () => {
      const publication = await local.publishTrack(track, fromFfiOptions(request, track.name));
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

function fromFfiOptions({ options }: RequestOf<'publishTrack'>, name: string): PublishAudioOptions {
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

export const localTrackMute: Handler<'localTrackMute'> = ({ trackHandle, mute = false }, { handles }) => {
  const track = handles.get(trackHandle, LocalAudioTrack);
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
