import { ParticipantInfo_Kind, type ParticipantPermission } from '@livekit/protocol';
import type {
  ParticipantInfo as FfiParticipantInfo,
  ParticipantPermission as FfiParticipantPermission,
} from '@livekit/rtc-ffi-bindings/proto/participant_pb.js';
import type { ParticipantInfo } from '../../room/index.js';
import type { InitOf } from '../messages.js';
import { ParticipantKind } from '../protocol.js';
import { toInt64 } from './integers.js';

/** The two protocols number the kinds of participants differently. */
const kinds: Record<ParticipantInfo_Kind, ParticipantKind> = {
  [ParticipantInfo_Kind.STANDARD]: ParticipantKind.STANDARD,
  [ParticipantInfo_Kind.INGRESS]: ParticipantKind.INGRESS,
  [ParticipantInfo_Kind.EGRESS]: ParticipantKind.EGRESS,
  [ParticipantInfo_Kind.SIP]: ParticipantKind.SIP,
  [ParticipantInfo_Kind.AGENT]: ParticipantKind.AGENT,
  [ParticipantInfo_Kind.CONNECTOR]: ParticipantKind.CONNECTOR,
  [ParticipantInfo_Kind.BRIDGE]: ParticipantKind.BRIDGE,
};

export function toFfiParticipant(info: ParticipantInfo): InitOf<FfiParticipantInfo> {
  return {
    sid: info.sid,
    name: info.name,
    identity: info.identity,
    state: info.state as number,
    metadata: info.metadata,
    attributes: { ...info.attributes },
    kind: kinds[info.kind] ?? ParticipantKind.STANDARD,
    kindDetails: info.kindDetails.map((detail) => detail as number),
    disconnectReason: info.disconnectReason as number,
    joinedAt: toInt64(info.joinedAtMs),
    permission: info.permission && toFfiPermission(info.permission),
    clientProtocol: info.clientProtocol,
  };
}

export function toFfiPermission(permission: ParticipantPermission): InitOf<FfiParticipantPermission> {
  return {
    canSubscribe: permission.canSubscribe,
    canPublish: permission.canPublish,
    canPublishData: permission.canPublishData,
    canPublishSources: permission.canPublishSources.map((source) => source as number),
    hidden: permission.hidden,
    canUpdateMetadata: permission.canUpdateMetadata,
    canSubscribeMetrics: permission.canSubscribeMetrics,
    canManageAgentSession: permission.canManageAgentSession,
  };
}
