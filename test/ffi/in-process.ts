import { FfiEvent, FfiRequest, FfiResponse } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import type { FfiAnswer } from '../../src/ffi/server.js';
import { FfiServer } from '../../src/ffi/server.js';
import type { RoomSession } from '../../src/ffi/wire.js';
import { within } from '../support/until.js';

type EventMessage = FfiEvent['message'];
type Named<Message extends { case: string | undefined }, Name> = Extract<Message, { case: Name }>;
type ValueOf<Name> = NonNullable<Named<EventMessage, Name>['value']>;

/** The name of an event, of a room's event its own. */
const nameOf = ({ case: name, value }: EventMessage) =>
  name === 'roomEvent' ? value.message.case : (name ?? 'none');

/** What a program would send, as plain objects. */
type RequestInit = NonNullable<NonNullable<ConstructorParameters<typeof FfiRequest>[0]>['message']>;

/** A server in this process, spoken to in messages, with memory that a test hands over itself. */
export class InProcess {
  readonly events: EventMessage[] = [];
  /** Bytes of the buffers that came with answers and events, by address. */
  readonly lent = new Map<bigint, Uint8Array>();
  readonly open = new Set<number>();
  /** How rooms were to be left should the engine be lost, as it was said each time. */
  readonly sessions: RoomSession[] = [];
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

  /**
   * Resolves with the first event of that name, past or future, that `matches`.
   *
   * @param what is awaited, for the error; default: the name
   */
  async waitFor<Name extends EventMessage['case']>(
    name: Name,
    matches: (value: ValueOf<Name>) => boolean = () => true,
    what?: string,
  ): Promise<ValueOf<Name>> {
    const isIt = (message: EventMessage) => message.case === name && matches(message.value as ValueOf<Name>);
    const past = this.events.find(isIt);
    if (past) return past.value as ValueOf<Name>;
    let listener = (_: EventMessage) => {};
    const comes = new Promise<EventMessage>((resolve) => {
      listener = (candidate: EventMessage) => {
        if (isIt(candidate)) resolve(candidate);
      };
      this.#listeners.add(listener);
    });
    const seen = () => this.events.map((event) => nameOf(event));
    const message = await within(`event ${what ?? name}`, comes, { seen }).finally(() =>
      this.#listeners.delete(listener),
    );
    return message.value as ValueOf<Name>;
  }

  dispose(): Promise<void> {
    return this.#server.dispose();
  }

  #take({ buffers, opened, closed, sessions = [] }: Omit<FfiAnswer, 'writes'>): void {
    this.sessions.push(...sessions);
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
