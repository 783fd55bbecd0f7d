import { ParticipantInfo_Kind, ParticipantPermission, type TrackSource } from '@livekit/protocol';
import type { Access, Grants } from './access-token.js';

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

export function mayPublishSource(permission: ParticipantPermission, source: TrackSource): boolean {
  const { canPublish, canPublishSources } = permission;
  return canPublishSources.length > 0 ? canPublishSources.includes(source) : canPublish;
}

const kinds: Record<string, ParticipantInfo_Kind> = {
  agent: ParticipantInfo_Kind.AGENT,
  sip: ParticipantInfo_Kind.SIP,
  ingress: ParticipantInfo_Kind.INGRESS,
  egress: ParticipantInfo_Kind.EGRESS,
};

export function kindOf({ kind, grants }: Access): ParticipantInfo_Kind {
  return kinds[kind] ?? (grants.agent ? ParticipantInfo_Kind.AGENT : ParticipantInfo_Kind.STANDARD);
}
