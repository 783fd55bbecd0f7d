import { createRequire } from 'node:module';
import { FfiEvent, FfiRequest, FfiResponse } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import { describe, expect, test, vi } from 'vitest';
import type { LibraryConnect, LibraryNews } from '../../src/ffi/wire.js';

interface Thread {
  onEvent(event: Uint8Array): void;
  onNews(news: LibraryNews): void;
  request(bytes: Uint8Array, library?: LibraryConnect): Uint8Array;
}
// It runs in the program's thread, as CommonJS, and is tested as it is shipped.
const EngineThread: new (isLibrary?: boolean) => Thread = createRequire(import.meta.url)(
  '../../dist/ffi/program/engine-thread.cjs',
);

/** A client of the engine's thread, and the callbacks that it gets. */
class Client {
  readonly errors = new Map<bigint, string | undefined>();
  readonly codes = new Map<bigint, string>();
  #thread: Thread;

  constructor(isLibrary: boolean) {
    this.#thread = new EngineThread(isLibrary);
    this.#thread.onEvent = (bytes) => {
      const { message } = FfiEvent.fromBinary(bytes);
      if (message.case !== 'connect') return;
      const { asyncId = 0n, message: result } = message.value;
      this.errors.set(asyncId, result.case === 'error' ? result.value : undefined);
    };
    this.#thread.onNews = (news) => {
      if (news.type === 'failure') this.codes.set(news.asyncId, news.error.code);
    };
  }

  /** To a port that nobody listens on. */
  connect(library?: LibraryConnect, afterwards: (request: Uint8Array) => void = () => {}): bigint {
    const value = { url: 'ws://127.0.0.1:1', token: 'token', options: {} };
    const request = new FfiRequest({ message: { case: 'connect', value } }).toBinary().slice();
    const { message } = FfiResponse.fromBinary(this.#thread.request(request, library));
    afterwards(request);
    return (message.value as { asyncId: bigint }).asyncId;
  }

  settled(...ids: bigint[]): Promise<void> {
    return vi.waitFor(() => expect([...this.errors.keys()].sort()).toEqual([...ids].sort()), 10_000);
  }
}

const uncloneable = { name: 'room', deadlines: { connect: () => {} } } as unknown as LibraryConnect;

describe('a request that cannot be sent to the engine thread', () => {
  test('fails with a code, and those beside it and after it do not', async () => {
    const client = new Client(true);
    const [before, wrong, after] = [client.connect(), client.connect(uncloneable), client.connect()];
    await client.settled(before, wrong, after);
    const later = client.connect();
    await client.settled(before, wrong, after, later);
    expect(client.errors.get(wrong)).toMatch(/cannot be sent to the engine thread: .*could not be cloned/);
    expect([before, wrong, after, later].map((id) => client.codes.get(id))).toEqual([
      'OFFHOOK_UNREACHABLE',
      'OFFHOOK_INVALID_REQUEST',
      'OFFHOOK_UNREACHABLE',
      'OFFHOOK_UNREACHABLE',
    ]);
  });

  test('of a program on the protocol fails in its callback', async () => {
    const client = new Client(false);
    const wrong = client.connect(undefined, ({ buffer }) =>
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] }),
    );
    const right = client.connect();
    await client.settled(wrong, right);
    expect(client.errors.get(wrong)).toMatch(/cannot be sent to the engine thread: .*detached/);
    expect(client.errors.get(right)).toContain('OFFHOOK_UNREACHABLE');
  });
});
