import {
  CreateAgentDispatchRequest,
  DeleteAgentDispatchRequest,
  ListAgentDispatchRequest,
  ListAgentDispatchResponse,
} from '@livekit/protocol';
import type { Dispatcher } from '../agents/dispatcher.js';
import type { Rooms } from '../rooms.js';
import { requireAdmin } from './grants.js';
import { method, TwirpError, type TwirpMethod } from './twirp.js';

/** The AgentDispatchService of LiveKit's server API. */
export function agentDispatchService(rooms: Rooms, dispatcher: Dispatcher): Record<string, TwirpMethod> {
  return {
    CreateDispatch: method(CreateAgentDispatchRequest, (request, access) => {
      requireAdmin(access, request.room);
      return dispatcher.create(rooms.open(request.room).room, request);
    }),
    ListDispatch: method(ListAgentDispatchRequest, ({ room: name, dispatchId }, access) => {
      requireAdmin(access, name);
      const room = rooms.byName.get(name);
      const all = room ? dispatcher.list(room) : [];
      return new ListAgentDispatchResponse({
        agentDispatches: all.filter(({ id }) => dispatchId === '' || id === dispatchId),
      });
    }),
    DeleteDispatch: method(DeleteAgentDispatchRequest, ({ room: name, dispatchId }, access) => {
      requireAdmin(access, name);
      const room = rooms.byName.get(name);
      const deleted = room && dispatcher.delete(room, dispatchId);
      if (!deleted) throw new TwirpError('not_found', 'dispatch does not exist');
      return deleted;
    }),
  };
}
