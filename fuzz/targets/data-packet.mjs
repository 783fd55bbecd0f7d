import { DataPacket } from '@livekit/protocol';
import { OffhookError } from '../../dist/errors/index.js';
import { DataPlane } from '../../dist/room/data-plane.js';
import { join, mutateMessages, split } from '../engine/messages.mjs';
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

export default {
  about: 'packets of a data channel: user data, streams, RPC, chat, transcriptions',
  maxBytes: 8192,
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
    const plane = new DataPlane(() => {
      events += 1;
    }, {});
    plane.open({ reliable: channel(), lossy: channel() });
    plane.rpcServer.register('m', async () => 'answer');
    const packets = split(input);
    packets.forEach((bytes, i) => {
      plane.handleMessage(bytes, i % 2 === 0 ? 'reliable' : 'lossy');
    });
    plane.participantLeft('a');
    plane.close(new OffhookError('OFFHOOK_CLOSED', 'over'));
    check(events <= 2 * packets.length, 'an event or two for each packet');
  },
};
