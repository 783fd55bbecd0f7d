import type { OwnedParticipant } from '@livekit/rtc-ffi-bindings/proto/participant_pb.js';
import type { ConnectRequest, RoomEvent } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import { makeToken } from '../support/token.mjs';
import { InProcess } from './in-process.js';

type RoomMessage = RoomEvent['message'];
type ValueOf<Name> = NonNullable<Extract<RoomMessage, { case: Name }>['value']>;

type ConnectOptions = NonNullable<NonNullable<ConstructorParameters<typeof ConnectRequest>[0]>['options']>;

interface RoomToJoin {
  server: { url: string; apiKey: string; apiSecret: string };
  room: string;
}

/** A room joined by bare requests, as an SDK of another language makes them. */
export class ProtocolRoom {
  readonly ffi = new InProcess();
  roomHandle = 0n;
  local!: OwnedParticipant;
  /** Handles of the participants that were there, by identity. */
  readonly participants = new Map<string, bigint>();

  get localParticipantHandle(): bigint {
    return this.local.handle!.id!;
  }

  async connect(
    house: RoomToJoin,
    identity: string,
    { ready = true, options = {} }: { ready?: boolean; options?: ConnectOptions } = {},
  ): Promise<void> {
    const token = await makeToken(house.server, house.room, identity);
    const { asyncId } = this.ffi.request({
      case: 'connect',
      value: { url: house.server.url, token, options },
    });
    const { message } = await this.ffi.waitFor('connect', (value) => value.asyncId === asyncId);
    if (message.case !== 'result') throw new Error(String(message.value));
    this.roomHandle = message.value.room!.handle!.id!;
    this.local = message.value.localParticipant!;
    for (const { participant } of message.value.participants) {
      this.participants.set(participant!.info!.identity!, participant!.handle!.id!);
    }
    if (ready) this.ready();
  }

  ready(): void {
    this.ffi.request({ case: 'readyForRoomEvent', value: { roomHandle: this.roomHandle } });
  }

  /** Names of the room events so far. */
  get eventNames(): (string | undefined)[] {
    return this.ffi.events.flatMap(({ case: name, value }) =>
      name === 'roomEvent' ? value.message.case : [],
    );
  }

  /** Resolves with the first event of the room of that name, past or future, that `matches`. */
  async waitFor<Name extends RoomMessage['case']>(
    name: Name,
    matches: (value: ValueOf<Name>) => boolean = () => true,
  ): Promise<ValueOf<Name>> {
    const { message } = await this.ffi.waitFor(
      'roomEvent',
      (event) => event.message.case === name && matches(event.message.value as ValueOf<Name>),
      `${name} of the room`,
    );
    return message.value as ValueOf<Name>;
  }
}
