export { safeFileName } from './file-name.js';
export { IncomingStreams, type OpenedStream } from './incoming-streams.js';
export { OutgoingStreams, type ReceiverAbilities } from './outgoing-streams.js';
export type { PacketContent, PacketKind, PacketRouting, PacketSender } from './packet.js';
export { type PacketChannel, PacketLane } from './packet-lane.js';
export { PlainStreams, type StreamPacket } from './plain-streams.js';
export { ReliableInbox } from './reliable-inbox.js';
export { ReorderBuffer } from './reorder-buffer.js';
export { type PerformRpcOptions, RpcClient } from './rpc-client.js';
export { RpcError, rpcErrorCodes, rpcLimits } from './rpc-error.js';
export { type RpcHandler, type RpcInvocation, RpcServer } from './rpc-server.js';
export { type RpcStreams, rpcTopics } from './rpc-streams.js';
export type { ByteStreamInfo, ByteStreamOptions, TextStreamInfo, TextStreamOptions } from './stream-info.js';
export { ByteStreamReader, StreamReader, TextStreamReader } from './stream-reader.js';
export { ByteStreamWriter, TextStreamWriter } from './stream-writer.js';
export { DataTrackError, type DataTrackFailure } from './tracks/error.js';
export { FrameLane } from './tracks/frame-lane.js';
export {
  type DataTrackFrame,
  type SealedTrackFrame,
  TrackDepacketizer,
  TrackPacketizer,
} from './tracks/frames.js';
export {
  isTrackHandle,
  readTrackHandle,
  readTrackPacket,
  startsFrame,
  type TrackPacket,
  withTrackHandle,
} from './tracks/packet.js';
export { checkTrackSchema } from './tracks/schema.js';
