import { AudioSource } from '../../src/audio/index.js';
import { type ConnectOptions, Room, type RoomEvent } from '../support/engine.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { makeToken } from '../support/token.mjs';

export type TestServer = Awaited<ReturnType<typeof startLivekitServer>>;

/** A room of a test, with what it was told. */
export interface Guest {
  room: Room;
  events: RoomEvent[];
  /** The first event of this type, past or to come, that `matches`. */
  event<Type extends RoomEvent['type']>(
    type: Type,
    matches?: (event: Extract<RoomEvent, { type: Type }>) => boolean,
  ): Promise<Extract<RoomEvent, { type: Type }>>;
  /** Types of what was told, without the chatter of speakers and qualities. */
  told(): string[];
}

const waitMs = 12_000;
const chatter = new Set<RoomEvent['type']>([
  'activeSpeakersChanged',
  'connectionQualityChanged',
  'participantsUpdated',
  'tokenRefreshed',
  'roomUpdated',
  'roomSidChanged',
]);

/**
 * A livekit-server and the guests in its rooms, all of whom leave when it closes. With PEER_CONNECTIONS=2 in the environment
 * they have two peer connections each, and one otherwise.
 */
export class House {
  readonly server: TestServer;
  #guests: Guest[] = [];
  #sources: AudioSource[] = [];

  private constructor(server: TestServer) {
    this.server = server;
  }

  static async open(): Promise<House> {
    return new House(await startLivekitServer());
  }

  token(roomName: string, identity: string): Promise<string> {
    return makeToken(this.server, roomName, identity);
  }

  async join(
    roomName: string,
    identity: string,
    options: ConnectOptions & { url?: string; random?: () => number } = {},
  ): Promise<Guest> {
    const { url = this.server.url, random = Math.random, ...connect } = options;
    const guest = createGuest(identity, random);
    this.#guests.push(guest);
    await guest.room.connect(url, await this.token(roomName, identity), {
      iceServers: [],
      singlePeerConnection: process.env.PEER_CONNECTIONS !== '2',
      ...connect,
    });
    return guest;
  }

  /** A source that speaks a tone until the house closes. */
  tone(hz: number, amplitude = 8_000): AudioSource {
    const sampleRate = 48_000;
    const source = new AudioSource({ sampleRate, numChannels: 1, queueSizeMs: 100 });
    this.#sources.push(source);
    void speak(source, hz, amplitude).catch(() => {});
    return source;
  }

  async close(): Promise<void> {
    await Promise.all(this.#guests.map(({ room }) => room.disconnect()));
    for (const source of this.#sources) source.close();
    await this.server.stop();
  }
}

async function speak(source: AudioSource, hz: number, amplitude: number): Promise<void> {
  const { sampleRate } = source;
  const samplesPerChannel = sampleRate / 100;
  for (let at = 0; ; at += samplesPerChannel) {
    const data = Int16Array.from(
      { length: samplesPerChannel },
      (_, i) => amplitude * Math.sin((2 * Math.PI * hz * (at + i)) / sampleRate),
    );
    await source.captureFrame({ data, sampleRate, numChannels: 1, samplesPerChannel });
  }
}

function createGuest(identity: string, random: () => number): Guest {
  const room = new Room({ name: identity, random });
  const events: RoomEvent[] = [];
  const watchers = new Set<(event: RoomEvent) => void>();
  room.onEvent = (event) => {
    events.push(event);
    for (const watch of watchers) watch(event);
  };
  return {
    room,
    events,
    told: () => events.map(({ type }) => type).filter((type) => !chatter.has(type)),
    event: (type, matches = () => true) =>
      new Promise((resolve, reject) => {
        type Wanted = Extract<RoomEvent, { type: typeof type }>;
        const isWanted = (event: RoomEvent): event is Wanted =>
          event.type === type && matches(event as Wanted);
        const past = events.find(isWanted);
        if (past) {
          resolve(past);
          return;
        }
        const timer = setTimeout(() => {
          watchers.delete(watch);
          reject(
            new Error(
              `${identity} was not told ${type}, but: ${events.map((event) => event.type).join(', ')}`,
            ),
          );
        }, waitMs);
        const watch = (event: RoomEvent) => {
          if (!isWanted(event)) return;
          clearTimeout(timer);
          watchers.delete(watch);
          resolve(event);
        };
        watchers.add(watch);
      }),
  };
}
