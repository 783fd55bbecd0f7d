import { DataPacket_Kind } from '@livekit/protocol';

/** The labels under which LiveKit clients and servers open their data channels. */
export const dataChannelLabels = {
  [DataPacket_Kind.RELIABLE]: '_reliable',
  [DataPacket_Kind.LOSSY]: '_lossy',
} as const;
export const dataTrackLabel = '_data_track';

export function dataKindOf(label: string): DataPacket_Kind | undefined {
  if (label === dataChannelLabels[DataPacket_Kind.RELIABLE]) return DataPacket_Kind.RELIABLE;
  if (label === dataChannelLabels[DataPacket_Kind.LOSSY]) return DataPacket_Kind.LOSSY;
  return undefined;
}
