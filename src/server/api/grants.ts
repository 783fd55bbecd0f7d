import type { Access } from '../access-token.js';
import { TwirpError } from './twirp-error.js';

/**
 * What the token of a caller must grant. `roomAdmin` is for the room that the request names and no other,
 * `destinationRoom` for both of the rooms that it names. The sip grants are a claim of their own; `sipTransfer` needs
 * `roomAdmin` as well.
 */
type MethodGrant =
  | 'roomCreate'
  | 'roomList'
  | 'roomAdmin'
  | 'destinationRoom'
  | 'sipAdmin'
  | 'sipCall'
  | 'sipTransfer';

/** The grant that each method of the API needs. A method that is not in this table cannot be called. */
export const methodGrants: Readonly<Record<string, MethodGrant>> = {
  'livekit.RoomService/CreateRoom': 'roomCreate',
  'livekit.RoomService/ListRooms': 'roomList',
  'livekit.RoomService/DeleteRoom': 'roomCreate',
  'livekit.RoomService/ListParticipants': 'roomAdmin',
  'livekit.RoomService/GetParticipant': 'roomAdmin',
  'livekit.RoomService/RemoveParticipant': 'roomAdmin',
  'livekit.RoomService/MutePublishedTrack': 'roomAdmin',
  'livekit.RoomService/UpdateParticipant': 'roomAdmin',
  'livekit.RoomService/UpdateSubscriptions': 'roomAdmin',
  'livekit.RoomService/SendData': 'roomAdmin',
  'livekit.RoomService/UpdateRoomMetadata': 'roomAdmin',
  'livekit.RoomService/ForwardParticipant': 'destinationRoom',
  'livekit.RoomService/MoveParticipant': 'destinationRoom',
  'livekit.RoomService/PerformRpc': 'roomAdmin',
  'livekit.AgentDispatchService/CreateDispatch': 'roomAdmin',
  'livekit.AgentDispatchService/ListDispatch': 'roomAdmin',
  'livekit.AgentDispatchService/DeleteDispatch': 'roomAdmin',
  'livekit.SIP/CreateSIPTrunk': 'sipAdmin',
  'livekit.SIP/ListSIPTrunk': 'sipAdmin',
  'livekit.SIP/CreateSIPInboundTrunk': 'sipAdmin',
  'livekit.SIP/CreateSIPOutboundTrunk': 'sipAdmin',
  'livekit.SIP/UpdateSIPInboundTrunk': 'sipAdmin',
  'livekit.SIP/UpdateSIPOutboundTrunk': 'sipAdmin',
  'livekit.SIP/GetSIPInboundTrunk': 'sipAdmin',
  'livekit.SIP/GetSIPOutboundTrunk': 'sipAdmin',
  'livekit.SIP/ListSIPInboundTrunk': 'sipAdmin',
  'livekit.SIP/ListSIPOutboundTrunk': 'sipAdmin',
  'livekit.SIP/DeleteSIPTrunk': 'sipAdmin',
  'livekit.SIP/CreateSIPDispatchRule': 'sipAdmin',
  'livekit.SIP/UpdateSIPDispatchRule': 'sipAdmin',
  'livekit.SIP/ListSIPDispatchRule': 'sipAdmin',
  'livekit.SIP/DeleteSIPDispatchRule': 'sipAdmin',
  'livekit.SIP/CreateSIPParticipant': 'sipCall',
  'livekit.SIP/TransferSIPParticipant': 'sipTransfer',
};

/**
 * Whether a caller may call a method at all, before its request is read.
 *
 * @throws TwirpError `unauthenticated` when its token, or the lack of one, rules that out.
 */
export function requireCaller(method: string, access: Access | undefined): void {
  const grant = Object.hasOwn(methodGrants, method) ? methodGrants[method] : undefined;
  if (grant === undefined)
    throw new TwirpError('unauthenticated', 'permissions denied: no grant allows this');
  const missing = missingGrant(grant, access);
  if (missing !== undefined) {
    throw new TwirpError('unauthenticated', `permissions denied: the token lacks the ${missing} grant`);
  }
}

function missingGrant(grant: MethodGrant, access: Access | undefined): string | undefined {
  switch (grant) {
    case 'sipAdmin':
      return access?.sip.admin ? undefined : 'sip admin';
    case 'sipCall':
    case 'sipTransfer':
      return access?.sip.call ? undefined : 'sip call';
    default: {
      const flag = grant === 'destinationRoom' ? 'roomAdmin' : grant;
      return access?.grants[flag] ? undefined : flag;
    }
  }
}

/**
 * Whether a caller that passed `requireCaller` may make this request.
 *
 * @returns the room that its token is for, where the method asks for such a token
 * @throws TwirpError `unauthenticated` when its token is for another room.
 */
export function requireGrant(method: string, access: Access, request: object): string | undefined {
  const grant = methodGrants[method];
  if (grant !== 'roomAdmin' && grant !== 'destinationRoom' && grant !== 'sipTransfer') return undefined;
  const named = request as { room?: string; roomName?: string; destinationRoom?: string };
  const { room = named.roomName, destinationRoom } = named;
  const isAllowed =
    access.grants.roomAdmin &&
    room === access.grants.room &&
    (grant !== 'destinationRoom' || destinationRoom === access.grants.destinationRoom);
  if (isAllowed) return room;
  const rooms = grant !== 'destinationRoom' ? `room "${room}"` : `rooms "${room}" and "${destinationRoom}"`;
  throw new TwirpError(
    'unauthenticated',
    `permissions denied: the token lacks the roomAdmin grant for ${rooms}`,
  );
}
