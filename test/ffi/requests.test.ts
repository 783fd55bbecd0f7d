import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FfiRequest, FfiResponse } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { requestTable } from '../../src/ffi/request-table.js';
import { InProcess } from './in-process.js';

let ffi: InProcess;
beforeEach(() => {
  ffi = new InProcess();
});
afterEach(() => ffi.dispose());

type Name = keyof typeof requestTable;
const names = Object.keys(requestTable) as Name[];
const requestNames = FfiRequest.fields.list().map(({ localName }) => localName);

/** A request of that name with nothing in it, not even what the protocol requires. */
function emptyRequest(name: string): Uint8Array {
  const { no } = FfiRequest.fields.list().find(({ localName }) => localName === name)!;
  const tag = (no << 3) | 2;
  return tag < 128 ? Uint8Array.of(tag, 0) : Uint8Array.of((tag & 127) | 128, tag >> 7, 0);
}

describe('the table of requests', () => {
  test('names every request of the protocol, and no other', () => {
    expect([...names].sort()).toEqual([...requestNames].sort());
  });

  test('has a test for every one', () => {
    for (const name of names) {
      expect(requestTable[name].test, name).toBeDefined();
    }
  });
});

test('what a request lent and wrote before it threw does not go along with the next answer', () => {
  const row = requestTable.getStats;
  const { handler } = row;
  row.handler = (_request, context) => {
    context.answerWith({ address: 4_096, bytes: new Uint8Array(64) } as never);
    context.memory.write(8_192n, new Uint8Array(64));
    throw new Error('half done');
  };
  try {
    expect(() => ffi.handle(emptyRequest('getStats'))).toThrow('half done');
  } finally {
    row.handler = handler;
  }
  const answer = ffi.handle(emptyRequest('dispose'));
  expect([answer.buffers, answer.writes]).toEqual([undefined, undefined]);
});

describe('a request', () => {
  test('with an unknown handle is answered with an error, for every kind of request', () => {
    const room = { roomHandle: 77n };
    const local = { localParticipantHandle: 77n };
    for (const message of [
      { case: 'disconnect', value: room },
      { case: 'readyForRoomEvent', value: room },
      { case: 'getSessionStats', value: room },
      { case: 'publishTrack', value: { ...local, trackHandle: 78n, options: {} } },
      { case: 'setSubscribed', value: { publicationHandle: 77n, subscribe: true } },
      { case: 'newAudioStream', value: { trackHandle: 77n, type: 0 } },
      { case: 'byteReadAll', value: { readerHandle: 77n } },
    ] as const) {
      const said = expect.stringMatching(new RegExp(`^request ${message.case}: handle 77 is unknown`));
      expect(() => ffi.request(message), message.case).toThrow(
        expect.objectContaining({ code: 'OFFHOOK_UNKNOWN_HANDLE', message: said }),
      );
    }
  });

  test('with the handle of something else says what it is', () => {
    const { source } = ffi.request({ case: 'newAudioSource', value: { type: 0, queueSizeMs: 10 } });
    expect(() =>
      ffi.request({ case: 'localTrackMute', value: { trackHandle: source!.handle!.id!, mute: true } }),
    ).toThrow(/of a AudioSource, not of a LocalAudioTrack/);
  });

  test('of bytes that are not a request is refused', () => {
    expect(() => ffi.handle(new Uint8Array(0))).toThrow(/empty/);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          FfiResponse.fromBinary(ffi.handle(bytes).bytes);
        } catch (error) {
          expect((error as Error).name).toBe('OffhookError');
        }
      }),
    );
  });

  test('that points to memory which did not come along is refused', async () => {
    const { source } = ffi.request({ case: 'newAudioSource', value: { type: 0, queueSizeMs: 10 } });
    const buffer = { dataPtr: 4096n, numChannels: 1, sampleRate: 48_000, samplesPerChannel: 480 };
    expect(() =>
      ffi.request({ case: 'captureAudioFrame', value: { sourceHandle: source!.handle!.id!, buffer } }),
    ).toThrow(/960 bytes at pointer 0x1000/);
  });
});

describe('a request that fails', () => {
  test('leaves no hold on the memory that came along with it', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const fail = () => {
      const bytes = new Uint8Array(1_000_000);
      expect(() =>
        ffi.request({ case: 'clearAudioBuffer', value: { sourceHandle: 77n } }, [[4096n, bytes]]),
      ).toThrow(/unknown/);
      return new WeakRef(bytes.buffer);
    };
    const memory = fail();
    await new Promise(setImmediate);
    collectGarbage();
    expect(memory.deref()).toBeUndefined();
  });
});

describe('disposing', () => {
  test('drops every handle, and answers with a callback when asked to', async () => {
    const { source } = ffi.request({ case: 'newAudioSource', value: { type: 0, queueSizeMs: 10 } });
    const { asyncId } = ffi.request({ case: 'dispose', value: { async: true } });
    await ffi.waitFor('dispose', (value) => value.asyncId === asyncId);
    expect(() =>
      ffi.request({ case: 'clearAudioBuffer', value: { sourceHandle: source!.handle!.id! } }),
    ).toThrow(/unknown/);
  });
});
