import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { instrument } from '../../fuzz/engine/hooks.mjs';
import { fuzz } from '../../fuzz/run.mjs';

const targets = fileURLToPath(new URL('../../fuzz/targets', import.meta.url));
const made: string[] = [];

afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
});

/** Fuzzes a target that is made for the test. */
async function fuzzBroken(name: string, code: string, seconds = 5) {
  const target = `test-${name}-${process.pid}`;
  const path = join(targets, `${target}.mjs`);
  const out = fileURLToPath(new URL(`../../out/fuzz/${target}`, import.meta.url));
  made.push(path, out);
  writeFileSync(path, code);
  const { findings } = await fuzz(target, seconds, 1);
  return findings;
}

describe('the fuzzer', () => {
  test('counts the blocks of a module and leaves its meaning alone', () => {
    const code =
      'export const size = (n) => (n > 3 ? "big" : n && "small");\nif (size(5) !== "big") throw 1;';
    const counters = new Uint8Array(16_384);
    (globalThis as Record<string, unknown>).offhookFuzz = { counters, literals: new Set() };
    const instrumented = instrument(code);
    const size = new Function(`${instrumented.replace('export ', '')}; return size;`)();
    expect([size(5), size(1), size(0)]).toEqual(['big', 'small', 0]);
    expect([...counters].filter((count) => count > 0).length).toBeGreaterThanOrEqual(4);
    expect(instrumented.split('\n')).toHaveLength(2);
  });

  test('finds the input that throws, saves it, and stops at it', async () => {
    const [finding] = await fuzzBroken(
      'throws',
      `export default { about: '', run(input) { if (input[0] === 0x7f && input.length > 2) throw new Error('found'); } };`,
    );
    expect(finding).toMatchObject({ finding: 'crash', text: expect.stringContaining('found') });
    expect(readFileSync(finding!.path)[0]).toBe(0x7f);
  });

  test('finds what never ends', async () => {
    const [finding] = await fuzzBroken(
      'hangs',
      `export default { about: '', run(input) { while (input[0] === 7); } };`,
      8,
    );
    expect(finding).toMatchObject({ finding: 'hang' });
  }, 60_000);

  // By the CPU, not by the clock: on a busy machine a second of the clock is no second of work.
  test('finds what takes too long', async () => {
    const [finding] = await fuzzBroken(
      'slow',
      `const cpuMs = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1000; }; export default { about: '', run(input) { const endMs = cpuMs() + 1_500; while (input.length > 9 && cpuMs() < endMs); } };`,
    );
    expect(finding).toMatchObject({ finding: 'slow' });
  }, 60_000);

  test('finds what fills the memory', async () => {
    const [finding] = await fuzzBroken(
      'memory',
      `let kept; export default { about: '', run(input) { kept = input.length > 5 ? Buffer.alloc(1e8) : undefined; } };`,
    );
    expect(finding).toMatchObject({ finding: 'memory' });
  });

  test('finds what each input leaves behind', async () => {
    const [finding] = await fuzzBroken(
      'leak',
      `const kept = []; export default { about: '', run() { kept.push(Buffer.alloc(20_000)); } };`,
    );
    expect(finding).toMatchObject({ finding: 'leak' });
  }, 60_000);

  test('finds what throws after the input', async () => {
    const [finding] = await fuzzBroken(
      'later',
      `export default { about: '', run(input) { if (input.length > 3) Promise.reject(new Error('later')); } };`,
    );
    expect(finding).toMatchObject({ finding: 'crash', text: expect.stringContaining('later') });
  });
});
