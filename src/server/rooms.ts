import { DisconnectReason, RoomAgentDispatch, type RoomConfiguration } from '@livekit/protocol';
import { Room, type RoomListener, type RoomOptions } from './room.js';

type RoomDefaults = Omit<RoomOptions, 'name' | 'metadata'>;

/** The rooms that are open, by name. */
export class Rooms {
  readonly byName = new Map<string, Room>();
  #defaults: RoomDefaults;
  #listener: RoomListener;

  constructor(defaults: RoomDefaults, listener: RoomListener) {
    this.#defaults = defaults;
    this.#listener = listener;
  }

  /**
   * The room of this name, opened when it is not there yet. What `wishes` leaves at 0 has its default. A room that an agent
   * opens, because its own has closed while it was joining, gets no agents, and is open for as long as one that was left.
   */
  open(
    name: string,
    wishes: Partial<
      Pick<RoomConfiguration, 'emptyTimeout' | 'departureTimeout' | 'maxParticipants' | 'metadata' | 'agents'>
    > = {},
    { byAgent = false } = {},
  ): { room: Room; created: boolean } {
    const existing = this.byName.get(name);
    if (existing) return { room: existing, created: false };
    const { emptyTimeoutS, departureTimeoutS, maxParticipants } = this.#defaults;
    const room = new Room(
      {
        name,
        emptyTimeoutS: wishes.emptyTimeout || (byAgent ? departureTimeoutS : emptyTimeoutS),
        departureTimeoutS: wishes.departureTimeout || departureTimeoutS,
        maxParticipants: wishes.maxParticipants || maxParticipants,
        metadata: wishes.metadata ?? '',
      },
      this.#listener,
      () => this.byName.delete(name),
    );
    this.byName.set(name, room);
    const agents = wishes.agents?.length ? wishes.agents : [new RoomAgentDispatch()];
    room.boundary.run('dispatching agents', () => this.#listener.onOpened(room, byAgent ? [] : agents));
    return { room, created: true };
  }

  closeAll(): void {
    for (const room of [...this.byName.values()]) room.close(DisconnectReason.SERVER_SHUTDOWN);
  }
}
