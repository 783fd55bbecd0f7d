import {
  CreateAgentDispatchRequest,
  DeleteAgentDispatchRequest,
  ListAgentDispatchRequest,
  ListAgentDispatchResponse,
} from '@livekit/protocol';
import type { Dispatcher } from '../agents/dispatcher.js';
import type { Rooms } from '../rooms.js';
import { requireRoomName } from './room-service.js';
import { method, type TwirpService } from './twirp.js';
import { TwirpError } from './twirp-error.js';

/** The AgentDispatchService of LiveKit's server API. */
export function agentDispatchService(rooms: Rooms, dispatcher: Dispatcher): TwirpService {
  return {
    CreateDispatch: method(CreateAgentDispatchRequest, (request) => {
      requireRoomName(request.room);
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
