import type { OffhookError } from '../../../src/errors/index.js';
import { SctpAssociation, type SctpAssociationOptions } from '../../../src/transport/sctp/index.js';
import { Link, type LinkOptions } from './link.js';

export interface Received {
  streamId: number;
  ppid: number;
  bytes: Buffer;
  atMs: number;
}

/** An association on a simulated path, and what it reported. */
export class TestEnd {
  readonly association: SctpAssociation;
  readonly received: Received[] = [];
  readonly resets: number[] = [];
  readonly closedStreams: number[] = [];
  connectedAtMs: number | undefined;
  closed: { error: OffhookError | undefined } | undefined;
  onMessage: (message: Received) => void = () => {};

  constructor(link: Link, side: 0 | 1, options: Partial<SctpAssociationOptions>) {
    this.association = new SctpAssociation({
      localPort: 5000,
      remotePort: 5000,
      maxMessageBytes: 262_144,
      onPacket: (packet) => link.transmit(side, packet),
      onConnected: () => {
        this.connectedAtMs = link.nowMs;
      },
      onMessage: (streamId, ppid, bytes) => {
        const message = { streamId, ppid, bytes, atMs: link.nowMs };
        this.received.push(message);
        this.onMessage(message);
      },
      onStreamReset: (streamId) => this.resets.push(streamId),
      onStreamClosed: (streamId) => this.closedStreams.push(streamId),
      onClosed: (error) => {
        this.closed = { error };
      },
      ...options,
    });
    link.ends[side] = this.association;
  }
}

export interface Pair {
  link: Link;
  one: TestEnd;
  other: TestEnd;
}

export function createPair(
  linkOptions: LinkOptions = {},
  options: Partial<SctpAssociationOptions> = {},
): Pair {
  const link = new Link(linkOptions);
  return { link, one: new TestEnd(link, 0, options), other: new TestEnd(link, 1, options) };
}

/** Both ends up, as in WebRTC: both start. */
export function connectedPair(
  linkOptions: LinkOptions = {},
  options: Partial<SctpAssociationOptions> = {},
): Pair {
  const pair = createPair({ ...linkOptions, lossRate: 0, duplicateRate: 0 }, options);
  pair.one.association.start(pair.link.nowMs);
  pair.other.association.start(pair.link.nowMs);
  pair.link.runUntil(() => pair.one.connectedAtMs !== undefined && pair.other.connectedAtMs !== undefined);
  pair.link.run(50);
  pair.link.options = linkOptions;
  return pair;
}
