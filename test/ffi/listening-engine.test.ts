import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pidsOfTree } from '../../bench/process-tree.mjs';
import { startEngine } from '../support/engine-process.mjs';
import { until } from '../support/until.js';

/** What one engine serves. */
const places = 20;
const magic = 0x4b48464f;

type Engine = Awaited<ReturnType<typeof startEngine>>;

/** The connections of a program that says what the C library says first, and no more. */
class Program {
  static #count = 0;
  readonly requests: Socket;
  readonly events: Socket;
  /** Resolves with whether an engine serves it. */
  readonly isServed: Promise<boolean>;

  constructor({ env }: Engine) {
    const id = BigInt(++Program.#count);
    const [requests, events] = [0, 1].map((channel) => {
      const socket = connect(env.OFFHOOK_ENGINE_SOCKET!);
      socket.on('error', () => {});
      const preface = Buffer.alloc(16);
      preface.writeUInt32LE(magic, 0);
      preface.writeUInt32LE(channel, 4);
      preface.writeBigUInt64LE(id, 8);
      socket.write(preface);
      return socket;
    });
    this.requests = requests!;
    this.events = events!;
    this.isServed = Promise.race([
      once(this.requests, 'data').then(() => true),
      once(this.requests, 'close').then(() => false),
    ]);
  }

  end(): void {
    this.requests.destroy();
    this.events.destroy();
  }
}

const start = (engine: Engine, count: number) => Array.from({ length: count }, () => new Program(engine));

/** Processes that the engine has started, once they are so many. */
const untilFurther = (engine: Engine, count: number) =>
  until(`${count} further engines`, () => pidsOfTree(engine.pids).length === 1 + count, {
    seen: () => pidsOfTree(engine.pids),
  });

describe('an engine that listens', () => {
  let engine: Engine;
  afterEach(() => engine.stop());

  describe('for all', () => {
    beforeEach(async () => {
      engine = await startEngine('shared');
    });

    test('serves more programs than one engine takes, with one more for each twenty, and lets those end', async () => {
      const programs = start(engine, 2 * places + 1);
      expect(await Promise.all(programs.map(({ isServed }) => isServed))).not.toContain(false);
      await untilFurther(engine, 2);
      for (const program of programs.splice(0, places)) program.end();
      for (const program of programs) program.end();
      await untilFurther(engine, 0);
    });

    test('has a further one ready before it is needed', async () => {
      start(engine, places - 4);
      await untilFurther(engine, 1);
    });

    test('keeps nothing of programs that give up before they are served', async () => {
      const programs = start(engine, 2 * places);
      // The second one is started when nearly all have come, and the first one has not yet begun to serve.
      await untilFurther(engine, 2);
      for (const program of programs) program.end();
      await untilFurther(engine, 0);
    });
  });

  describe('for each', () => {
    beforeEach(async () => {
      engine = await startEngine('ready');
    });

    test('gives each program an engine of its own and has one more ready', async () => {
      const programs = start(engine, 3);
      expect(await Promise.all(programs.map(({ isServed }) => isServed))).not.toContain(false);
      await untilFurther(engine, 4);
      for (const program of programs) program.end();
      await untilFurther(engine, 1);
    });

    test('lets those end whose programs gave up before they were served', async () => {
      const programs = start(engine, 6);
      // They are started, and but for one do not serve yet.
      await untilFurther(engine, 7);
      for (const program of programs) program.end();
      await untilFurther(engine, 1);
    });
  });
});
