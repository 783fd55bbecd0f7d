import { DataPacket, DataPacket_Kind } from '@livekit/protocol';
import { requireFewParts } from './message-bound.js';
import type { Participant } from './participant.js';

/**
 * Reads a data packet and stamps it with who sent it. Undefined when it is not one, or one that came before (a
 * publisher sends reliable packets again after a resume).
 */
export function stampPacket(
  message: Uint8Array,
  kind: DataPacket_Kind,
  sender: Participant,
): DataPacket | undefined {
  let packet: DataPacket;
  try {
    requireFewParts(DataPacket, message);
    packet = DataPacket.fromBinary(message);
  } catch {
    return undefined;
  }
  if (kind === DataPacket_Kind.RELIABLE && packet.sequence > 0) {
    if (packet.sequence <= sender.lastReliableSequence) return undefined;
    sender.lastReliableSequence = packet.sequence;
  }
  // The channel says what kind it is, not the sender.
  packet.kind = kind;
  packet.participantSid = sender.sid;
  // Others are not told of a hidden participant.
  const identity = sender.permission.hidden ? '' : sender.identity;
  packet.participantIdentity = identity;
  if (packet.value.case === 'user') {
    const user = packet.value.value;
    user.participantSid = sender.permission.hidden ? '' : sender.sid;
    user.participantIdentity = identity;
    if (packet.destinationIdentities.length === 0) packet.destinationIdentities = user.destinationIdentities;
  }
  return packet;
}

/** Those of `participants` that a packet is for; nobody gets back what they sent. */
export function recipientsOf(
  packet: DataPacket,
  participants: Iterable<Participant>,
  senderSid: string | undefined,
): Participant[] {
  // Each list may be as long as a packet: looking through it for each participant would take seconds.
  const identities = new Set(packet.destinationIdentities);
  const sids = new Set(packet.value.case === 'user' ? packet.value.value.destinationSids : []);
  const toAll = identities.size === 0 && sids.size === 0;
  return [...participants].filter(
    ({ sid, identity }) => sid !== senderSid && (toAll || identities.has(identity) || sids.has(sid)),
  );
}
