import {
  CreateAgentDispatchRequest,
  DeleteAgentDispatchRequest,
  ListAgentDispatchRequest,
  ListAgentDispatchResponse,
} from '@livekit/protocol';
import type { Dispatcher } from '../agents/dispatcher.js';
import { limits } from '../limits.js';
import type { Rooms } from '../rooms.js';
import { requireRoomName } from './room-service.js';
import { method, type TwirpService } from './twirp.js';
import { TwirpError } from './twirp-error.js';

const dispatchOverheadBytes = 4_096;

/** The AgentDispatchService of LiveKit's server API. */
export function agentDispatchService(rooms: Rooms, dispatcher: Dispatcher): TwirpService {
  return {
    CreateDispatch: method(CreateAgentDispatchRequest, (request) => {
      requireRoomName(request.room);
      const existing = rooms.byName.get(request.room);
      const before = existing ? dispatcher.list(existing) : [];
      const bytes = [...before, request].reduce((sum, dispatch) => sum + bytesOf(dispatch), 0);
      if (bytes > limits.dispatchesBytes.value)
        throw new TwirpError('resource_exhausted', 'the room has too many dispatches, or too large ones');
      return dispatcher.create(rooms.open(request.room).room, request);
    }),
    ListDispatch: method(ListAgentDispatchRequest, ({ room: name, dispatchId }) => {
      const room = rooms.byName.get(name);
      const all = room ? dispatcher.list(room) : [];
      return new ListAgentDispatchResponse({
        agentDispatches: all.filter(({ id }) => dispatchId === '' || id === dispatchId),
      });
    }),
    DeleteDispatch: method(DeleteAgentDispatchRequest, ({ room: name, dispatchId }) => {
      const room = rooms.byName.get(name);
      const deleted = room && dispatcher.delete(room, dispatchId);
      if (!deleted) throw new TwirpError('not_found', 'dispatch does not exist');
      return deleted;
    }),
  };
}

/** About what a dispatch takes in memory, with its job. */
function bytesOf({
  agentName,
  metadata,
  attributes,
}: Pick<CreateAgentDispatchRequest, 'agentName' | 'metadata' | 'attributes'>): number {
  let bytes = dispatchOverheadBytes + agentName.length + metadata.length;
  for (const [key, value] of Object.entries(attributes)) bytes += key.length + value.length;
  return bytes;
}
