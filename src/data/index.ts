export type { PacketContent, PacketKind, PacketRouting, PacketSender } from './packet.js';
export type { PerformRpcOptions } from './rpc-client.js';
export { RpcError, rpcErrorCodes, rpcLimits } from './rpc-error.js';
export type { RpcHandler, RpcInvocation } from './rpc-server.js';
export type { ByteStreamInfo, ByteStreamOptions, TextStreamInfo, TextStreamOptions } from './stream-info.js';
export { ByteStreamReader, StreamReader, TextStreamReader } from './stream-reader.js';
export { ByteStreamWriter, TextStreamWriter } from './stream-writer.js';
