import type { DataPacket } from '@livekit/protocol';

/** `reliable` arrives once and in order; `lossy` may be lost, and is not delayed by what was lost before it. */
export type PacketKind = 'reliable' | 'lossy';

export type PacketContent = DataPacket['value'];

/** Who a packet is for, and on whose behalf it is sent. */
export interface PacketRouting {
  /** Identities; everybody in the room without them. */
  destinationIdentities?: readonly string[];
  /** Identity the packet is attributed to; servers accept another one from agents only. */
  senderIdentity?: string;
}

/** What carries packets to the server. */
export interface PacketSender {
  /** Whether the content of streams is encrypted on its way. */
  readonly encryptsStreams?: boolean;
  /**
   * Resolves when the packet has been handed over and little enough waits before it, which paces the caller.
   *
   * @throws OffhookError `OFFHOOK_CLOSED`, `OFFHOOK_DEADLINE`
   */
  send(content: PacketContent, kind: PacketKind, routing?: PacketRouting): Promise<void>;
}
