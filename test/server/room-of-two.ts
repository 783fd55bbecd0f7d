import { readFileSync } from 'node:fs';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { audiblePart, type Pcm } from '../support/tone.js';

/** A server in this process, and participants on the native engine in processes of their own. */
export class RoomOfTwo {
  server!: RoomServer;
  name = '';
  ada!: Program;
  bob!: Program;

  async open(): Promise<void> {
    this.server = await startServer({ port: 0 });
  }

  /** Brings Ada and Bob into a room. */
  async join(room: string): Promise<void> {
    this.name = room;
    this.ada = startParticipant('native');
    this.bob = startParticipant('native');
    await Promise.all([this.#connect(this.ada, room, 'ada'), this.#connect(this.bob, room, 'bob')]);
  }

  async leave(): Promise<void> {
    await Promise.all([this.ada?.stop(), this.bob?.stop()]);
  }

  async close(): Promise<void> {
    await this.leave();
    await this.server.close();
  }

  async #connect(program: Program, room: string, identity: string): Promise<void> {
    const { url } = this.server;
    const token = await makeToken({ url, apiKey: 'devkey', apiSecret: 'secret' }, room, identity);
    await program.call('connect', { url, token });
  }
}

/** What `listener` has heard of `identity` since it was asked last, without silence before and after. */
export async function takeHeard(listener: Program, identity: string, path: string): Promise<Pcm> {
  const { sampleRate } = await listener.call<{ sampleRate: number }>('takeHeard', { identity, path });
  const bytes = readFileSync(path);
  return audiblePart({
    samples: new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2),
    sampleRate,
  });
}
