import { TranscriptionSegment } from '@livekit/protocol';
import { fromFfiPacketKind } from '../conversion/room.js';
import type { Handler } from '../handler.js';
import { FfiParticipant } from '../objects/ffi-participant.js';

export const publishData: Handler<'publishData'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  const payload = context.memory.read(request.dataPtr, Number(request.dataLen ?? 0));
  return context.call('publishData', request.requestAsyncId, async () => {
    await local.publishData(payload, {
      reliable: request.reliable ?? true,
      topic: request.topic,
      destinationIdentities: request.destinationIdentities,
    });
    return {};
  });
};

export const publishTranscription: Handler<'publishTranscription'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('publishTranscription', request.requestAsyncId, async () => {
    await local.publishTranscription({
      participantIdentity: request.participantIdentity ?? '',
      trackSid: request.trackId ?? '',
      segments: request.segments.map(
        ({ id, text, startTime, endTime, final, language }) =>
          new TranscriptionSegment({ id, text, startTime, endTime, final, language }),
      ),
    });
    return {};
  });
};

export const publishSipDtmf: Handler<'publishSipDtmf'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  const { code = 0, digit = '', destinationIdentities } = request;
  return context.call('publishSipDtmf', request.requestAsyncId, async () => {
    await local.publishDtmf(code, digit, destinationIdentities);
    return {};
  });
};

export const setDataChannelBufferedAmountLowThreshold: Handler<'setDataChannelBufferedAmountLowThreshold'> = (
  { localParticipantHandle, threshold, kind },
  { handles },
) => {
  const { local } = handles.get(localParticipantHandle, FfiParticipant);
  local.setBufferedAmountLowThreshold(fromFfiPacketKind(kind), Number(threshold ?? 0));
  return {};
};
