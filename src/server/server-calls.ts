import { DataPacket, DataPacket_Kind } from '@livekit/protocol';
import { type PerformRpcOptions, RpcClient } from '../data/index.js';

/** Calls of participants' methods by the server API: the answer comes back to the server, and to nobody in the room. */
export class ServerCalls {
  #client: RpcClient;

  /** @param send sends a packet to those that it names. */
  constructor(send: (packet: DataPacket, kind: DataPacket_Kind) => void) {
    this.#client = new RpcClient({
      send: async (value, _kind, { destinationIdentities = [] } = {}) => {
        // A caller that is no participant: the id of the call is its name, as livekit-server has it.
        const participantIdentity = value.case === 'rpcRequest' ? value.value.id : '';
        const kind = DataPacket_Kind.RELIABLE;
        const packet = {
          kind,
          value,
          participantIdentity,
          destinationIdentities: [...destinationIdentities],
        };
        send(new DataPacket(packet), kind);
      },
    });
  }

  get waiting(): number {
    return this.#client.waiting;
  }

  /** @throws RpcError */
  perform(options: PerformRpcOptions): Promise<string> {
    return this.#client.perform(options);
  }

  /** Takes what a participant says of a call of the server; false when the packet is for others. */
  handle({ value }: DataPacket, identity: string): boolean {
    if (value.case !== 'rpcAck' && value.case !== 'rpcResponse') return false;
    if (!this.#client.isWaiting(value.value.requestId, identity)) return false;
    if (value.case === 'rpcAck') this.#client.handleAck(value.value.requestId);
    else this.#client.handleResponse(value.value);
    return true;
  }

  participantLeft(identity: string): void {
    this.#client.participantLeft(identity);
  }
}
