import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { House, sdks } from './house.js';

const script = fileURLToPath(new URL('programs/in-process.mjs', import.meta.url));

const endOfThread = fileURLToPath(new URL('programs/end-of-thread.cjs', import.meta.url));

const brokenThread = fileURLToPath(new URL('programs/broken-thread.cjs', import.meta.url));

/** Runs one case of the program to its end. */
async function run(name: string, args: string[] = [], env: Record<string, string> = {}) {
  const program = new Program(script, { engine: 'offhook', args: [name, ...args], env });
  const code = await program.untilEnded();
  const done = program.events.find(({ event }) => event === 'done');
  return { code, output: program.output, ...(done as Record<string, unknown> | undefined) } as Record<
    string,
    unknown
  > & { code: number | string; output: string[] };
}

describe('a program', () => {
  test('finds everything that it imports from the native module', async () => {
    expect(await run('exports')).toMatchObject({
      names: [
        'FfiHandle',
        'livekitCopyBuffer',
        'livekitDispose',
        'livekitFfiRequest',
        'livekitInitialize',
        'livekitRetrievePtr',
      ],
    });
  });

  for (const { sdk, RTC_PACKAGE } of sdks) {
    test(`of ${sdk} that never connects ends by itself`, async () => {
      const { code, samples } = await run('unconnected', [], { RTC_PACKAGE });
      expect(code).toBe(0);
      expect(samples).toBeGreaterThan(1_500);
    });
  }

  test('puts the processes that it forks on the engine too', async () => {
    const { code, output } = await run('forked');
    expect(code).toBe(0);
    expect(output).toContain('"samples"');
  });

  test('logs at info which engine is active', async () => {
    const { output } = await run('exports', [], { OFFHOOK_LOG: 'info' });
    expect(output.filter((line) => /process \d+ run on the offhook engine/.test(line))).toHaveLength(1);
  });

  test('gets one warning at its start for a log level that does not exist and a folder that cannot be written to', async () => {
    const { output } = await run('exports', [], { OFFHOOK_LOG: 'loud', OFFHOOK_TIMELINE: '/proc/nowhere' });
    const said = output.filter((line) => line.startsWith('offhook: '));
    expect(said).toEqual([
      expect.stringContaining('OFFHOOK_LOG is "loud", not one of error, warn, info, debug'),
      expect.stringContaining('OFFHOOK_TIMELINE is not a folder that can be written to'),
    ]);
  });

  test('gets one warning at its start when the folder of timelines is a file', async () => {
    const { output } = await run('exports', [], { OFFHOOK_TIMELINE: fileURLToPath(import.meta.url) });
    expect(output.filter((line) => line.startsWith('offhook: '))).toEqual([
      expect.stringContaining('OFFHOOK_TIMELINE is not a folder that can be written to'),
    ]);
  });

  test('is told at once why the engine does not start', async () => {
    const startedMs = performance.now();
    const { code, output } = await run('unconnected', [], { NODE_OPTIONS: `--require ${brokenThread}` });
    expect(code).toBe(1);
    expect(output.join('\n')).toMatch(/engine could not start: TypeError: Map is not a constructor/);
    expect(performance.now() - startedMs).toBeLessThan(9_000);
  });

  test('gets the log lines of the engine as events, at their levels', async () => {
    const { warnings } = await run('logs');
    expect(warnings).toEqual([expect.stringContaining('handle 99 is unknown')]);
  });
});

describe('a request that waits for nothing', () => {
  test('that cannot be taken says so in its callback', async () => {
    const { publishData, captureAudioFrame } = await run('refused');
    expect(publishData).toMatch(/handle 98 is unknown/);
    expect(captureAudioFrame).toMatch(/handle 99 is unknown/);
  });

  test('is taken before one that comes later and is waited for', async () => {
    const { cleared, errors } = await run('order');
    expect(cleared).toBeLessThan(2_000);
    expect(errors).toEqual([]);
  });
});

describe('captures', () => {
  test('are let through while the queue has room, and then paced by it', async () => {
    const { first, rest, order } = await run('paced');
    expect(first).toBeLessThan(400);
    expect(rest).toBeGreaterThan(400);
    expect(rest).toBeLessThan(2_000);
    expect(order).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test('that wait are called back when the queue is cleared, and the queue has room again', async () => {
    const { waited, after } = await run('cleared');
    expect(waited).toBeLessThan(1_000);
    expect(after).toBeLessThan(400);
  });

  test("of a format that is not the source's are refused in the callback", async () => {
    expect((await run('format')).message).toMatch(/16000 Hz and 1 channels.*48000 Hz/);
  });
});

describe("audio processing in the program's own thread", () => {
  test('resamples and flushes as the engine does', async () => {
    const { pushed, flushed, frequencyHz, error } = await run('resampled');
    expect(pushed).toBeGreaterThan(7_000);
    expect(Number(pushed) + Number(flushed)).toBeGreaterThan(7_900);
    expect(frequencyHz).toBeCloseTo(440, -1);
    expect(error).toMatch(/0 is not a valid input rate/);
  });

  test('changes the samples where the program keeps them, and lets go of what is disposed', async () => {
    const { quieter, kept, delay, disposed } = await run('processed');
    expect(quieter).toBeLessThan(0.1);
    expect(kept).toBeGreaterThan(0.5);
    expect(delay).toMatch(/delay of -1 ms/);
    expect(disposed).toMatch(/unknown/);
  });
});

describe('memory', () => {
  test('is found by base and offset, and not beyond its end', async () => {
    const { inside, ofView, beyond, unknown, sent } = await run('pointers');
    expect(inside).toEqual([10, 11, 12]);
    expect(ofView).toBe(10);
    expect(beyond).toMatch(/3 bytes at 0x\w+ are more than the buffer holds: it has 100 bytes/);
    expect(unknown).toMatch(/0x1 belongs to no buffer/);
    expect(sent).toMatch(/0x1 belongs to no buffer/);
  });

  test('that the engine hands over lasts until its handle is disposed', async () => {
    const { before, after } = await run('lent');
    expect(before).toBe(320);
    expect(after).toMatch(/belongs to no buffer: it was freed/);
  });

  test('of megabytes crosses in one request and one answer', async () => {
    const { samples } = await run('large');
    expect(samples).toBeGreaterThan(1_199_000);
  });
});

describe('a handle', () => {
  test('is disposed once, and an unknown one is an error', async () => {
    expect(await run('handles')).toMatchObject({
      again: expect.stringMatching(/unknown: there is nothing to drop/),
    });
  });

  test('is freed with the object that was garbage-collected', async () => {
    const { before, after } = await run('collected', [], { NODE_OPTIONS: '--expose-gc' });
    expect(before).toBe('nothing was thrown');
    expect(after).toMatch(/unknown/);
  });

  test('is gone after livekitDispose', async () => {
    expect(await run('disposed')).toMatchObject({ message: expect.stringMatching(/unknown/) });
  });
});

describeWith(['livekit-server'], 'a process in a room', () => {
  const house = new House();
  const arguments_ = async () => [house.server.url, await makeToken(house.server, house.room, 'me')];

  test('gets a disconnect and errors when the engine thread is lost, and goes on', async () => {
    const { code, capture, request } = await run('lost', await arguments_(), {
      NODE_OPTIONS: `--require ${endOfThread}`,
    });
    expect(code).toBe(0);
    expect(capture).toMatch(/engine thread has ended/);
    expect(request).toMatch(/engine thread has ended.*OFFHOOK_CLOSED/);
  });

  test('exits with its own code in mid-call', async () => {
    expect((await run('abrupt', await arguments_())).code).toBe(3);
  });
});
