import { once } from 'node:events';
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { FfiEvent, FfiRequest, FfiResponse } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import { fromProgram, MessageReader, toProgram, wireVersion } from '../../src/ffi/process/wire.js';
import type { EventsMessage } from '../../src/ffi/wire.js';

// The build: one of its files is CommonJS, which tests load as it is shipped.
const built = <Module>(path: string): Promise<Module> =>
  import(new URL(`../../dist/${path}`, import.meta.url).href);
const { EventsToCome } =
  await built<typeof import('../../src/ffi/events-to-come.js')>('ffi/events-to-come.js');
const { FfiServer } = await built<typeof import('../../src/ffi/server.js')>('ffi/server.js');
const { Program } = await built<typeof import('../../src/ffi/process/program.js')>('ffi/process/program.js');
const { default: EventBatch } = await built<{
  default: { read(batch: Uint8Array): Iterable<{ bytes: Uint8Array }> };
}>('ffi/program/event-batch.cjs');
export const { limits } = await built<{ limits: Record<string, { value: number }> }>('limits.js');
export const { setLogSink } = await built<typeof import('../../src/logging/index.js')>('logging/index.js');

type RequestInit = NonNullable<NonNullable<ConstructorParameters<typeof FfiRequest>[0]>['message']>;
type Response = FfiResponse['message'];

/** An engine in this process, behind one of the ways to a program; whether the program takes events is up to the test. */
export abstract class Front {
  readonly events: FfiEvent['message'][] = [];
  /** Bytes of events that wait on the engine's side. */
  abstract waitingBytes(): number;
  abstract block(): void;
  abstract unblock(): void;
  abstract close(): Promise<void>;
  protected abstract handle(request: Uint8Array): Promise<Uint8Array>;

  async request<Name extends string>(
    message: RequestInit & { case: Name },
  ): Promise<Extract<Response, { case: Name }>['value']> {
    const answer = await this.handle(new FfiRequest({ message }).toBinary());
    return FfiResponse.fromBinary(answer).message.value as never;
  }

  protected took(event: Uint8Array): void {
    this.events.push(FfiEvent.fromBinary(event).message);
  }
}

/** As the engine thread serves the thread of a program. */
export class ThreadFront extends Front {
  readonly #port: MessagePort;
  readonly #taken = new Int32Array(new SharedArrayBuffer(8));
  readonly #events: InstanceType<typeof EventsToCome>;
  readonly #server: InstanceType<typeof FfiServer>;
  #taking: NodeJS.Timeout | undefined;

  constructor() {
    super();
    const { port1, port2 } = new MessageChannel();
    this.#port = port2;
    this.#events = new EventsToCome(port1, this.#taken.buffer);
    this.#server = new FfiServer({
      emit: (event) => this.#events.add(event),
      untilTaken: () => this.#events.untilTaken(),
      untakenBytes: () => this.#events.untakenBytes(),
    });
    this.unblock();
  }

  waitingBytes(): number {
    return this.#events.untakenBytes();
  }

  block(): void {
    clearInterval(this.#taking);
  }

  unblock(): void {
    this.#taking = setInterval(() => {
      for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port)) {
        const { batch = new Uint8Array(0) } = next.message as EventsMessage;
        Atomics.add(this.#taken, 0, 1);
        for (const { bytes } of EventBatch.read(batch)) this.took(bytes);
        Atomics.add(this.#taken, 1, batch.length);
      }
    }, 1);
  }

  async close(): Promise<void> {
    await this.#server.dispose();
    clearInterval(this.#taking);
    this.#port.close();
  }

  protected override async handle(request: Uint8Array): Promise<Uint8Array> {
    return this.#server.handle(request, []).bytes;
  }
}

let pipes = 0;

/** As an engine process serves the C library. */
export class ProcessFront extends Front {
  readonly #server: Server;
  readonly #requests: Socket;
  readonly #events: Socket;
  readonly #ofEngine: Socket;
  readonly #answers = new Map<number, (body: Buffer) => void>();
  #lastId = 0;

  static async open(): Promise<ProcessFront> {
    const name = `offhook-front-${process.pid}-${++pipes}`;
    const path = process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), name);
    const server = createServer();
    server.listen(path);
    await once(server, 'listening');
    const pair = async (): Promise<[Socket, Socket]> => {
      const ours = connectSocket(path);
      const [theirs] = (await once(server, 'connection')) as [Socket];
      return [ours, theirs];
    };
    return new ProcessFront(server, await pair(), await pair());
  }

  private constructor(
    server: Server,
    [requests, requestsOfEngine]: [Socket, Socket],
    [events, ofEngine]: [Socket, Socket],
  ) {
    super();
    this.#server = server;
    this.#requests = requests;
    this.#events = events;
    this.#ofEngine = ofEngine;
    new Program({ requests: requestsOfEngine, events: ofEngine, onGone: () => {} });
    const answers = new MessageReader();
    requests.on('data', (chunk: Buffer) => {
      for (const { id, body } of answers.push(chunk)) this.#answers.get(id)?.(body);
    });
    const messages = new MessageReader();
    events.on('data', (chunk: Buffer) => {
      for (const { type, body } of messages.push(chunk)) {
        if (type !== toProgram.event) continue;
        const start = 16 + body.readUInt32LE(8) * 24;
        this.took(body.subarray(start, start + body.readUInt32LE(4)));
      }
    });
    const hello = Buffer.alloc(40);
    hello.writeUInt32LE(wireVersion, 0);
    hello.writeBigUInt64LE(2n ** 32n, 8);
    hello.writeBigUInt64LE(2n ** 32n, 16);
    this.#write(fromProgram.hello, 0, hello);
  }

  waitingBytes(): number {
    return this.#ofEngine.writableLength;
  }

  block(): void {
    this.#events.pause();
  }

  unblock(): void {
    this.#events.resume();
  }

  async close(): Promise<void> {
    this.#requests.destroy();
    this.#events.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  protected override async handle(request: Uint8Array): Promise<Uint8Array> {
    const id = ++this.#lastId;
    const answered = new Promise<Buffer>((resolve) => this.#answers.set(id, resolve));
    const body = Buffer.alloc(16 + request.length);
    body.writeUInt32LE(request.length, 0);
    body.set(request, 16);
    this.#write(fromProgram.request, id, body);
    const answer = await answered;
    this.#answers.delete(id);
    const start = 16 + answer.readUInt32LE(8) * 24 + answer.readUInt32LE(12) * 16;
    return answer.subarray(start, start + answer.readUInt32LE(4));
  }

  #write(type: number, id: number, body: Buffer): void {
    const header = Buffer.alloc(16);
    header.writeUInt32LE(body.length, 0);
    header.writeUInt32LE(type, 4);
    header.writeBigUInt64LE(BigInt(id), 8);
    this.#requests.write(Buffer.concat([header, body]));
  }
}
