import { fileURLToPath } from 'node:url';
import { type Engine, Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';

const script = fileURLToPath(new URL('programs/bare.mjs', import.meta.url));

interface Server {
  url: string;
  apiKey: string;
  apiSecret: string;
}

type Json = Record<string, unknown>;
// biome-ignore lint/suspicious/noExplicitAny: the JSON of any message of the protocol.
type Value = any;

/** A program on either engine that speaks the FFI protocol itself. */
export class Bare {
  readonly program: Program;
  participantHandle = '';
  roomHandle = '';

  constructor(engine: Engine) {
    this.program = new Program(script, { engine });
  }

  /** Joins a room; what happens there is in `program.events`. */
  async join(server: Server, room: string, identity: string, options: Json = {}, grant = {}): Promise<void> {
    const token = await makeToken(server, room, identity, grant);
    const { asyncId } = await this.request({ connect: { url: server.url, token, options } });
    const { result, error } = await this.event('connect', (value) => value.asyncId === asyncId);
    if (error) throw new Error(error);
    this.roomHandle = result.room.handle.id;
    this.participantHandle = result.localParticipant.handle.id;
    await this.request({ readyForRoomEvent: { roomHandle: this.roomHandle } });
  }

  /** The response, as the JSON of its message. */
  request(message: Json): Promise<Value> {
    return this.program.call<Value>('request', { message });
  }

  /** A request that is answered later: its callback. */
  async call(name: string, value: Json): Promise<Value> {
    const { asyncId } = await this.request({ [name]: value });
    return this.event(name, (callback) => callback.asyncId === asyncId);
  }

  /** The first event of that name that matches, past or future. */
  async event(name: string, matches: (value: Value) => boolean = () => true): Promise<Value> {
    const { value } = await this.program.waitFor(name, (event) => matches(event.value));
    return value;
  }

  /** Events of that name so far. */
  events(name: string): Value[] {
    return this.program.events.filter(({ event }) => event === name).map(({ value }) => value);
  }

  async publishDataTrack(options: Json): Promise<Value> {
    return this.call('publishDataTrack', { localParticipantHandle: this.participantHandle, options });
  }

  stop(): Promise<unknown> {
    return this.program.stop();
  }
}
