import { FfiEvent } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeFrameEvent } from '../../src/ffi/conversion/audio-stream-event.js';

test('the event of a frame is encoded as the message classes encode it', () => {
  const id = fc.integer({ min: 1, max: 2 ** 40 });
  const small = fc.integer({ min: 0, max: 400_000 });
  const address = fc.integer({ min: 2 ** 48, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(id, id, address, small, small, small, (stream, handle, at, channels, rate, length) => {
      const format = { numChannels: channels, sampleRate: rate, samplesPerChannel: length };
      const frame = { data: new Int16Array(0), ...format };
      const buffer = { address: at, bytes: new Uint8Array(0), handle, holds: 'own' as const };
      const expected = new FfiEvent({
        message: {
          case: 'audioStreamEvent',
          value: {
            streamHandle: BigInt(stream),
            message: {
              case: 'frameReceived',
              value: { frame: { handle: { id: BigInt(handle) }, info: { dataPtr: BigInt(at), ...format } } },
            },
          },
        },
      }).toBinary();
      expect(encodeFrameEvent(stream, frame, buffer)).toEqual(expected);
    }),
  );
});
