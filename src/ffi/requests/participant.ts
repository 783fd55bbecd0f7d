import type { Handler } from '../handler.js';
import { FfiParticipant } from '../objects/ffi-participant.js';

export const setLocalMetadata: Handler<'setLocalMetadata'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('setLocalMetadata', request.requestAsyncId, async () => {
    await local.setMetadata(request.metadata ?? '');
    return {};
  });
};

export const setLocalName: Handler<'setLocalName'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  return context.call('setLocalName', request.requestAsyncId, async () => {
    await local.setName(request.name ?? '');
    return {};
  });
};

export const setLocalAttributes: Handler<'setLocalAttributes'> = (request, context) => {
  const { local } = context.handles.get(request.localParticipantHandle, FfiParticipant);
  const attributes = Object.fromEntries(request.attributes.map(({ key, value }) => [key ?? '', value ?? '']));
  return context.call('setLocalAttributes', request.requestAsyncId, async () => {
    await local.setAttributes(attributes);
    return {};
  });
};
