import { ChatMessage } from '@livekit/protocol';
import { toFfiChatMessage } from '../conversion/room.js';
import type { Handler } from '../handler.js';
import { FfiParticipant } from '../objects/ffi-participant.js';

export const sendChatMessage: Handler<'sendChatMessage'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('chatMessage', request.requestAsyncId, async () => {
    const { message = '', destinationIdentities, senderIdentity } = request;
    const sent = await local.sendChat(message, { destinationIdentities, senderIdentity });
    return { message: { case: 'chatMessage' as const, value: toFfiChatMessage(sent) } };
  });
};

export const editChatMessage: Handler<'editChatMessage'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('chatMessage', request.requestAsyncId, async () => {
    const { editText = '', originalMessage, destinationIdentities, senderIdentity } = request;
    const { id, timestamp, message, editTimestamp, deleted, generated } = originalMessage ?? {};
    const original = new ChatMessage({ id, timestamp, message, editTimestamp, deleted, generated });
    const sent = await local.editChat(original, editText, { destinationIdentities, senderIdentity });
    return { message: { case: 'chatMessage' as const, value: toFfiChatMessage(sent) } };
  });
};
