import type {
  IncomingStreams,
  OpenedStream,
  PacketContent,
  PacketKind,
  PacketRouting,
  PacketSender,
} from '../../src/data/index.js';

/** Carries packets straight from whoever sends to `onPacket`. */
export class Loop implements PacketSender {
  onPacket: (content: PacketContent, routing: PacketRouting) => void = () => {};
  readonly sent: PacketContent[] = [];

  async send(content: PacketContent, _kind: PacketKind, routing: PacketRouting = {}): Promise<void> {
    this.sent.push(content);
    this.onPacket(content, routing);
  }
}

/** Feeds stream packets of `identity` to `streams`, and collects the streams that open. */
export function receiveStreams(
  streams: IncomingStreams,
  identity: string,
): {
  opened: OpenedStream[];
  take: (content: PacketContent) => void;
} {
  const opened: OpenedStream[] = [];
  const take = (content: PacketContent) => {
    if (content.case === 'streamHeader') {
      const stream = streams.header(identity, content.value);
      if (stream) opened.push(stream);
    } else if (content.case === 'streamChunk') streams.chunk(identity, content.value);
    else if (content.case === 'streamTrailer') streams.trailer(identity, content.value);
  };
  return { opened, take };
}
