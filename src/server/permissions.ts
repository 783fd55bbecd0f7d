import { ParticipantInfo_Kind, ParticipantPermission, type TrackSource } from '@livekit/protocol';
import type { Access, Grants } from './access-token.js';
import { enumMember } from './checked-values.js';

export function permissionOf(grants: Grants): ParticipantPermission {
  return new ParticipantPermission({
    canSubscribe: grants.canSubscribe,
    canPublish: grants.canPublish,
    canPublishData: grants.canPublishData,
    canPublishSources: grants.canPublishSources,
    canUpdateMetadata: grants.canUpdateOwnMetadata,
    hidden: grants.hidden,
    recorder: grants.recorder,
    agent: grants.agent,
  });
}

/** Whether a source may be published: not without `canPublish`, and only listed ones where there is a list. */
export function mayPublishSource(permission: ParticipantPermission, source: TrackSource): boolean {
  const { canPublish, canPublishSources } = permission;
  return canPublish && (canPublishSources.length === 0 || canPublishSources.includes(source));
}

/** The kind that a token names; an unknown name is a standard participant, as on LiveKit's server. */
export function kindOf({ kind }: Access): ParticipantInfo_Kind {
  return enumMember(ParticipantInfo_Kind, kind.toUpperCase()) ?? ParticipantInfo_Kind.STANDARD;
}

/**
 * Whether a participant is there for others only: agents and recorders. They do not keep a room open, do not count as
 * its participants, and no agent is sent to them (LiveKit's `IsDependent`).
 */
export function isDependent(kind: ParticipantInfo_Kind, { agent, recorder }: ParticipantPermission): boolean {
  return kind === ParticipantInfo_Kind.AGENT || kind === ParticipantInfo_Kind.EGRESS || agent || recorder;
}
