import { deflateRawSync } from 'node:zlib';
import { DataPacket, DataStream_CompressionType } from '@livekit/protocol';
import { OffhookError } from '../../dist/errors/index.js';
import { DataPlane } from '../../dist/room/data/data-plane.js';
import { join, mutateMessages, split, withoutMessages } from '../engine/messages.mjs';
import { check } from '../engine/target.mjs';

/** Streams that may be open for each packet is one; what is held cannot be more than what came. */
const channel = () => ({
  isOpen: true,
  bufferedAmount: 0,
  send: () => true,
  setBufferedAmountLowThreshold() {},
  onBufferedAmountLow() {},
});
const packet = (value, more) =>
  new DataPacket({ participantIdentity: 'a', participantSid: 'PA_a', value, ...more }).toBinary();
const content = (text) => new TextEncoder().encode(text);
const text = { case: 'textHeader', value: {} };
const compression = DataStream_CompressionType.DEFLATE_RAW;
const deflated = deflateRawSync(content('abc'.repeat(1_000)));
const receiver = { clientProtocol: 2, capabilities: [2] };

export default {
  about: 'packets of a data channel: user data, streams, RPC, chat, transcriptions',
  maxBytes: 8192,
  shorten: withoutMessages,
  mutate: (input, context) => mutateMessages(input, DataPacket, context),
  seeds: () => [
    join([packet({ case: 'user', value: { payload: content('hello'), topic: 't' } }, { sequence: 1 })]),
    join([
      packet({ case: 'streamHeader', value: { streamId: 's', totalLength: 3n, contentHeader: text } }),
      packet({ case: 'streamChunk', value: { streamId: 's', chunkIndex: 0n, content: content('abc') } }),
      packet({ case: 'streamTrailer', value: { streamId: 's', attributes: { a: 'b' } } }),
    ]),
    join([
      packet({
        case: 'streamHeader',
        value: { streamId: 'i', contentHeader: text, inlineContent: content('abc') },
      }),
      packet({
        case: 'streamHeader',
        value: { streamId: 'd', contentHeader: text, compression, inlineContent: deflated },
      }),
      packet({ case: 'streamHeader', value: { streamId: 'c', contentHeader: text, compression } }),
      packet({ case: 'streamChunk', value: { streamId: 'c', chunkIndex: 0n, content: deflated } }),
      packet({ case: 'streamTrailer', value: { streamId: 'c' } }),
    ]),
    join([
      packet({
        case: 'streamHeader',
        value: {
          streamId: 'q',
          topic: 'lk.rpc_request',
          contentHeader: text,
          inlineContent: content('p'),
          attributes: {
            'lk.rpc_request_id': 'r',
            'lk.rpc_request_method': 'm',
            'lk.rpc_request_version': '2',
          },
        },
      }),
      packet({
        case: 'streamHeader',
        value: { streamId: 'p', topic: 'lk.rpc_response', contentHeader: text, inlineContent: content('p') },
      }),
    ]),
    join([
      packet({
        case: 'rpcRequest',
        value: { id: 'r', method: 'm', payload: 'p', responseTimeoutMs: 100, version: 1 },
      }),
      packet({ case: 'rpcAck', value: { requestId: 'r' } }),
      packet({ case: 'rpcResponse', value: { requestId: 'r', value: { case: 'payload', value: 'p' } } }),
    ]),
    join([
      packet({ case: 'chatMessage', value: { id: 'c', message: 'hi' } }),
      packet({ case: 'sipDtmf', value: { code: 1, digit: '1' } }),
      packet({ case: 'transcription', value: { trackId: 'TR', segments: [{ id: '1', text: 'x' }] } }),
    ]),
  ],
  run(input) {
    let events = 0;
    const plane = new DataPlane({
      emit: () => {
        events += 1;
      },
      subject: {},
      receivers: { find: () => receiver, all: () => [receiver] },
    });
    plane.open({ reliable: channel(), lossy: channel() });
    plane.rpcServer.register('m', async () => 'answer');
    const packets = split(input);
    packets.forEach((bytes, i) => {
      plane.handleMessage(bytes, i % 2 === 0 ? 'reliable' : 'lossy');
    });
    plane.participantLeft('a');
    plane.close(new OffhookError('OFFHOOK_CLOSED', 'over'));
    // Of a header with content: itself, the stream that opens, its end, and chunks of what is unpacked at once.
    check(events <= 24 * packets.length, 'few events for each packet');
  },
};
