import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { VideoGrant } from 'livekit-server-sdk';
import { afterAll, beforeAll } from 'vitest';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { type Engine, Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';

const memberScript = fileURLToPath(new URL('programs/member.mjs', import.meta.url));

/** The versions of LiveKit's SDK that programs use, as this repository has them installed. */
export const sdks = [
  { sdk: '@livekit/rtc-node 0.13', RTC_PACKAGE: '@livekit/rtc-node' },
  { sdk: '@livekit/rtc-node 1.x', RTC_PACKAGE: 'rtc-node-1' },
];

/** A livekit-server with rooms, and programs in them, for the tests of one file. */
export class House {
  server!: Awaited<ReturnType<typeof startLivekitServer>>;
  readonly room = `room-${randomUUID()}`;
  #programs: Program[] = [];

  /** @param options `turn`: with a TURN server */
  constructor(options: { turn?: boolean } = {}) {
    beforeAll(async () => {
      this.server = await startLivekitServer(options);
    });
    afterAll(async () => {
      await Promise.all(this.#programs.map((program) => program.stop()));
      await this.server?.stop();
    });
  }

  /** An unmodified program on `engine` that is not in a room yet. */
  async start(engine: Engine, env: Record<string, string> = {}): Promise<Program> {
    const program = new Program(memberScript, { engine, env });
    this.#programs.push(program);
    await program.waitFor('started');
    return program;
  }

  /** An unmodified program on `engine` that has joined the room as `identity`. */
  async join(
    engine: Engine,
    identity: string,
    { env = {}, options = {}, grant = {} } = {} as {
      env?: Record<string, string>;
      options?: Record<string, unknown>;
      grant?: VideoGrant;
    },
  ): Promise<Program> {
    const program = await this.start(engine, env);
    const token = await makeToken(this.server, this.room, identity, grant);
    await program.call('connect', { url: this.server.url, token, options });
    return program;
  }
}
