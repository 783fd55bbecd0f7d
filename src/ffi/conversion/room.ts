import type { ChatMessage } from '@livekit/protocol';
import type {
  ChatMessage as FfiChatMessage,
  RoomInfo as FfiRoomInfo,
} from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import type { PacketKind } from '../../data/index.js';
import type { ConnectionState, RoomInfo } from '../../room/index.js';
import type { InitOf } from '../messages.js';
import { DataPacketKind, ConnectionState as FfiConnectionState } from '../protocol.js';
import { toInt64 } from './integers.js';

/** What the native engine reports as long as nobody sets another value. */
const bufferedLowThresholdBytes = 2n * 1024n * 1024n;

export function toFfiRoom(info: RoomInfo): InitOf<FfiRoomInfo> {
  return {
    sid: info.sid || undefined,
    name: info.name,
    metadata: info.metadata,
    lossyDcBufferedAmountLowThreshold: bufferedLowThresholdBytes,
    reliableDcBufferedAmountLowThreshold: bufferedLowThresholdBytes,
    emptyTimeout: info.emptyTimeoutSeconds,
    departureTimeout: info.departureTimeoutSeconds,
    maxParticipants: info.maxParticipants,
    creationTime: toInt64(info.createdAtMs),
    numParticipants: info.numParticipants,
    numPublishers: info.numPublishers,
    activeRecording: info.activeRecording,
  };
}

const connectionStates: Record<ConnectionState, FfiConnectionState> = {
  disconnected: FfiConnectionState.CONN_DISCONNECTED,
  connecting: FfiConnectionState.CONN_DISCONNECTED,
  connected: FfiConnectionState.CONN_CONNECTED,
  resuming: FfiConnectionState.CONN_RECONNECTING,
  reconnecting: FfiConnectionState.CONN_RECONNECTING,
};

export function toFfiConnectionState(state: ConnectionState): FfiConnectionState {
  return connectionStates[state];
}

export function toFfiPacketKind(kind: PacketKind): DataPacketKind {
  return kind === 'reliable' ? DataPacketKind.KIND_RELIABLE : DataPacketKind.KIND_LOSSY;
}

export function fromFfiPacketKind(kind: DataPacketKind | undefined): PacketKind {
  return kind === DataPacketKind.KIND_RELIABLE ? 'reliable' : 'lossy';
}

export function toFfiChatMessage(message: ChatMessage): InitOf<FfiChatMessage> {
  return {
    id: message.id,
    timestamp: message.timestamp,
    message: message.message,
    editTimestamp: message.editTimestamp,
    deleted: message.deleted,
    generated: message.generated,
  };
}
