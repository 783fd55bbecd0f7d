import type { Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { OffhookError } from '../../errors/index.js';
import type { IcePath } from './ice-agent.js';
import { isStun, stunTarget } from './stun.js';
import { bindUdp, keyOf, type PacketListener, UdpLink } from './udp-link.js';

/** Counts what the packets of one connection cost, and refuses those that cost too much. Runs once for every packet. */
export interface PacketMeter {
  /** False when the packet is to be dropped. */
  beginPacket(): boolean;
  end(): void;
}

/** Whose paths over the shared port are asked for. */
export interface LinkOwner {
  /** The connection that the agent works for: its agents hand their addresses on to each other. */
  owner: object;
  meter?: PacketMeter | undefined;
}

/** One agent's share of the port. */
interface Share {
  link: UdpLink;
  owner: object;
}

interface Claim {
  share: Share;
  path: IcePath;
}

/** Packets of many connections arrive between two turns of the event loop; the system grants what it allows. */
const receiveBufferBytes = 4 * 1024 * 1024;

/**
 * One UDP port that many ICE agents share: checks are told apart by the user name that they bear, responses by the tag in
 * their transaction id, everything else by its source address once an agent has accepted that.
 */
export class UdpPort {
  readonly port: number;
  readonly bindAddress: string | undefined;
  #sockets: { v4?: Socket; v6?: Socket } = {};
  #byUfrag = new Map<string, Share>();
  #byTag = new Map<number, Share>();
  #byAddress = new Map<string, Claim>();
  #nextTag = 1;
  #closed = false;

  /**
   * Binds `port`, or a free one when that is 0, on one address of this machine or on all of them.
   *
   * @throws OffhookError `OFFHOOK_UNREACHABLE` when the port is taken or the address is not of this machine
   */
  constructor(port: number, bindAddress: string | undefined) {
    this.bindAddress = bindAddress;
    try {
      if (bindAddress !== undefined && isIPv6(bindAddress)) this.#sockets.v6 = bindUdp(6, bindAddress, port);
      else this.#sockets.v4 = bindUdp(4, bindAddress, port);
    } catch (cause) {
      const address = bindAddress ?? '0.0.0.0';
      throw new OffhookError(
        'OFFHOOK_UNREACHABLE',
        `UDP port ${port} of ${address} cannot be used for media`,
        {
          stage: 'server',
          host: `${address}:${port}`,
          advice: 'Choose another with --rtc-port, or stop what listens there.',
          cause,
        },
      );
    }
    this.port = (this.#sockets.v4 ?? this.#sockets.v6)!.address().port;
    if (bindAddress === undefined) this.#bindV6();
    for (const socket of this.#all()) {
      socket.on('message', (packet, { address, port: from }) => this.#receive(packet, address, from));
      try {
        socket.setRecvBufferSize(receiveBufferBytes);
      } catch {
        // The system's default it is.
      }
    }
  }

  get hasIPv6(): boolean {
    return this.#sockets.v6 !== undefined;
  }

  /** The link of the agent whose user name fragment this is, and the tag with which its transaction ids begin. */
  link(ufrag: string, { owner, meter }: LinkOwner, onPacket: PacketListener): { link: UdpLink; tag: Buffer } {
    const tagValue = this.#nextTag;
    this.#nextTag = (this.#nextTag % 0xffff_fffe) + 1;
    const tag = Buffer.alloc(4);
    tag.writeUInt32BE(tagValue);
    const link = new UdpLink({
      port: this.port,
      local: undefined,
      onPacket: meter ? metered(onPacket, meter) : onPacket,
      send: (packet, address, to) => this.#send(packet, address, to),
      onForgotten: (path) => this.#release(share, path),
      onClose: () => {
        if (this.#byUfrag.get(ufrag) === share) this.#byUfrag.delete(ufrag);
        this.#byTag.delete(tagValue);
      },
    });
    const share: Share = { link, owner };
    this.#byUfrag.set(ufrag, share);
    this.#byTag.set(tagValue, share);
    return { link, tag };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all(
      this.#all().map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
    );
  }

  #all(): Socket[] {
    return [this.#sockets.v4, this.#sockets.v6].filter((socket) => socket !== undefined);
  }

  #bindV6(): void {
    try {
      this.#sockets.v6 = bindUdp(6, undefined, this.port);
    } catch {
      // A machine without IPv6.
    }
  }

  /** Runs once for every packet. */
  #receive(packet: Buffer, address: string, port: number): void {
    if (isStun(packet)) {
      const target = stunTarget(packet);
      const share =
        typeof target === 'string' ? this.#byUfrag.get(target) : target && this.#byTag.get(target);
      if (!share) return;
      const path = share.link.receive(packet, address, port);
      if (path) this.#claim(share, path);
      return;
    }
    const claim = this.#byAddress.get(keyOf(address, port));
    claim?.share.link.deliver(claim.path, packet);
  }

  #send(packet: Buffer, address: string, port: number): void {
    if (this.#closed) return;
    const socket = address.includes(':') ? this.#sockets.v6 : this.#sockets.v4;
    // Without a callback, whose turn would come after every packet, a failure is passed over.
    socket?.send(packet, port, address);
  }

  /** An address belongs to the first connection that accepts it, until that gives it up: nobody can take it away. */
  #claim(share: Share, path: IcePath): void {
    const key = keyOf(path.remote.address, path.remote.port);
    const known = this.#byAddress.get(key);
    if (!known || known.share.owner === share.owner) this.#byAddress.set(key, { share, path });
  }

  #release(share: Share, path: IcePath): void {
    const key = keyOf(path.remote.address, path.remote.port);
    if (this.#byAddress.get(key)?.share === share) this.#byAddress.delete(key);
  }
}

/** Hands packets on as long as the meter lets them through. Runs once for every packet. */
function metered(onPacket: PacketListener, meter: PacketMeter): PacketListener {
  return (path, packet) => {
    if (!meter.beginPacket()) return false;
    try {
      return onPacket(path, packet);
    } finally {
      meter.end();
    }
  };
}
