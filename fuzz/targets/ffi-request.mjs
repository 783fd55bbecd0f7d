import { OffhookError } from '../../dist/errors/index.js';
import { FfiRequest } from '../../dist/ffi/protocol.js';
import { FfiServer } from '../../dist/ffi/server.js';
import { join, mutateMessages, split, withoutMessages } from '../engine/messages.mjs';
import { check, refusesWith } from '../engine/target.mjs';

const request = (message) => new FfiRequest({ message }).toBinary();
/** Handles are numbers that count up: an input reaches those that its earlier requests were given. */
const audioFrame = { dataPtr: 4096n, numChannels: 1, sampleRate: 48_000, samplesPerChannel: 480 };
const memory = () => [{ address: 4096, bytes: new Uint8Array(8192) }];
/** What reaches out of this process: a server, a plugin, a file. */
const outside = new Set(['connect', 'loadAudioFilterPlugin', 'sendFile']);

export default {
  about: "a program's requests to the engine",
  maxBytes: 8192,
  shorten: withoutMessages,
  mutate: (input, context) => mutateMessages(input, FfiRequest, context),
  seeds: () => [
    join([
      request({
        case: 'newAudioSource',
        value: { type: 0, sampleRate: 48_000, numChannels: 1, queueSizeMs: 100 },
      }),
      request({ case: 'createAudioTrack', value: { name: 'mic', sourceHandle: 1n } }),
      request({ case: 'captureAudioFrame', value: { sourceHandle: 1n, buffer: audioFrame } }),
      request({ case: 'clearAudioBuffer', value: { sourceHandle: 1n } }),
      request({ case: 'getStats', value: { trackHandle: 2n } }),
    ]),
    join([
      request({ case: 'newAudioResampler', value: {} }),
      request({
        case: 'remixAndResample',
        value: { resamplerHandle: 1n, buffer: audioFrame, sampleRate: 24_000, numChannels: 2 },
      }),
    ]),
    join([
      request({
        case: 'newSoxResampler',
        value: {
          inputRate: 48_000,
          outputRate: 16_000,
          numChannels: 1,
          inputDataType: 1,
          outputDataType: 1,
          qualityRecipe: 2,
        },
      }),
      request({ case: 'pushSoxResampler', value: { resamplerHandle: 1n, dataPtr: 4096n, size: 960 } }),
      request({ case: 'flushSoxResampler', value: { resamplerHandle: 1n } }),
    ]),
    join([
      request({
        case: 'newApm',
        value: {
          echoCancellerEnabled: true,
          gainControllerEnabled: true,
          highPassFilterEnabled: true,
          noiseSuppressionEnabled: false,
        },
      }),
      request({
        case: 'apmProcessStream',
        value: { apmHandle: 1n, dataPtr: 4096n, size: 960, sampleRate: 48_000, numChannels: 1 },
      }),
    ]),
    join([
      request({
        case: 'performRpc',
        value: { localParticipantHandle: 1n, destinationIdentity: 'a', method: 'm', payload: 'p' },
      }),
    ]),
    join([request({ case: 'newAudioStream', value: { trackHandle: 1n, type: 0, sampleRate: 48_000 } })]),
    join([request({ case: 'dispose', value: { async: true } })]),
  ],
  async run(input) {
    const events = [];
    const server = new FfiServer({ emit: (event) => events.push(event) });
    for (const bytes of split(input)) {
      let name;
      try {
        name = FfiRequest.fromBinary(bytes).message.case;
      } catch {}
      if (outside.has(name)) continue;
      refusesWith([OffhookError], () => server.handle(bytes, memory()));
    }
    await server.dispose();
    check(events.length < 10_000, 'few events');
  },
};
