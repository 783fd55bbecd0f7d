import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { describeWith } from '../support/parts.js';
import { type Program, startParticipant } from '../support/program.mjs';
import { signToken } from './signal-peer.js';

describeWith(['native engine'], 'a flood of data', () => {
  let server: RoomServer;
  let programs: Program[] = [];

  beforeAll(async () => {
    server = await startServer({ port: 0 });
  });
  afterEach(async () => {
    await Promise.all(programs.map((program) => program.stop()));
    programs = [];
  });
  afterAll(() => server.close());

  async function join(identities: readonly string[]): Promise<Program[]> {
    programs = identities.map(() => startParticipant('native'));
    await Promise.all(
      programs.map(async (program, i) => {
        const token = await signToken(identities[i]!, { roomJoin: true, room: 'flood' });
        await program.call('connect', { url: server.url, token, hearing: null });
      }),
    );
    return programs;
  }

  test.each([
    ['of ten megabytes a second', { bytesPerSecond: 10_000_000 }],
    ['as fast as the engine sends', {}],
    ['of lossy packets', { reliable: false }],
    ['of small packets', { packetBytes: 20 }],
  ])('%s costs the receivers nothing, and others are heard meanwhile', async (_what, options) => {
    const [flooder, witness, other] = (await join(['flooder', 'witness', 'other'])) as [
      Program,
      Program,
      Program,
    ];
    // A sender that is removed meanwhile has been made to pay, too.
    const flood = flooder
      .call<{ sentBytes: number }>('flood', { durationMs: 5_000, ...options })
      .catch(() => undefined);
    const answersMs: number[] = [];
    for (let i = 0; i < 8; i++) {
      const sentMs = performance.now();
      await other.call('publishData', { text: `${i}`, topic: 'calm', to: ['witness'] });
      await witness.waitFor('dataReceived', { topic: 'calm', text: `${i}` });
      answersMs.push(performance.now() - sentMs);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    await flood;
    expect(witness.events.filter(({ event }) => event === 'disconnected')).toEqual([]);
    expect(other.events.filter(({ event }) => event === 'disconnected')).toEqual([]);
    await other.call('publishData', { text: 'after', topic: 'calm', to: ['witness'] });
    await witness.waitFor('dataReceived', { topic: 'calm', text: 'after' });
    answersMs.sort((a, b) => a - b);
    expect(answersMs[4], `answers took ${answersMs.map(Math.round).join(', ')} ms`).toBeLessThan(1_000);
  });
});
