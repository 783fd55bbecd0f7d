import { FfiEvent, FfiRequest, FfiResponse } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import type { FfiAnswer } from '../../src/ffi/index.js';
import { FfiServer } from '../../src/ffi/index.js';

type EventMessage = FfiEvent['message'];
type Named<Message extends { case: string | undefined }, Name> = Extract<Message, { case: Name }>;
type ValueOf<Name> = NonNullable<Named<EventMessage, Name>['value']>;

/** What a program would send, as plain objects. */
type RequestInit = NonNullable<NonNullable<ConstructorParameters<typeof FfiRequest>[0]>['message']>;

/** A server in this process, spoken to in messages, with memory that a test hands over itself. */
export class InProcess {
  readonly events: EventMessage[] = [];
  /** Bytes of the buffers that came with answers and events, by address. */
  readonly lent = new Map<bigint, Uint8Array>();
  readonly open = new Set<number>();
  /** What the last request wrote into the program's memory. */
  writes: FfiAnswer['writes'] = [];
  #listeners = new Set<(message: EventMessage) => void>();
  #server = new FfiServer({
    emit: (delivery) => {
      this.#take(delivery);
      if (delivery.bytes.length === 0) return;
      const { message } = FfiEvent.fromBinary(delivery.bytes);
      this.events.push(message);
      for (const listener of this.#listeners) listener(message);
    },
  });

  /** @param memory what the request points to, by address */
  request<Name extends string>(
    message: RequestInit & { case: Name },
    memory: [address: bigint, bytes: Uint8Array][] = [],
  ): Named<FfiResponse['message'], Name>['value'] {
    const buffers = memory.map(([address, bytes]) => ({ address: Number(address), bytes }));
    const answer = this.#server.handle(new FfiRequest({ message }).toBinary(), buffers);
    this.#take(answer);
    this.writes = answer.writes;
    return FfiResponse.fromBinary(answer.bytes).message.value as Named<FfiResponse['message'], Name>['value'];
  }

  handle(bytes: Uint8Array): FfiAnswer {
    return this.#server.handle(bytes, []);
  }

  drop(handle: bigint): boolean {
    return this.#server.drop(Number(handle));
  }

  /** Resolves with the first event of that name, past or future, that `matches`. */
  async waitFor<Name extends EventMessage['case']>(
    name: Name,
    matches: (value: ValueOf<Name>) => boolean = () => true,
  ): Promise<ValueOf<Name>> {
    const isIt = (message: EventMessage) => message.case === name && matches(message.value as ValueOf<Name>);
    const past = this.events.find(isIt);
    if (past) return past.value as ValueOf<Name>;
    const message = await new Promise<EventMessage>((resolve) => {
      const listener = (candidate: EventMessage) => {
        if (!isIt(candidate)) return;
        this.#listeners.delete(listener);
        resolve(candidate);
      };
      this.#listeners.add(listener);
    });
    return message.value as ValueOf<Name>;
  }

  dispose(): Promise<void> {
    return this.#server.dispose();
  }

  #take({ buffers, opened, closed }: Omit<FfiAnswer, 'writes'>): void {
    for (const { address, bytes } of buffers ?? []) this.lent.set(BigInt(address), bytes.slice());
    for (const { id } of opened ?? []) this.open.add(id);
    for (const id of closed ?? []) this.open.delete(id);
  }
}

/** A frame at an address of the test's choosing, as requests carry it. */
export function frameAt(address: bigint, samples: Int16Array, sampleRate: number, numChannels = 1) {
  return {
    info: { dataPtr: address, sampleRate, numChannels, samplesPerChannel: samples.length / numChannels },
    memory: [address, new Uint8Array(samples.buffer.slice(0))] as [bigint, Uint8Array],
  };
}
