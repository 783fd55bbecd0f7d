import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { buildNative } from '../../scripts/build-native.mjs';
import { python } from '../../scripts/python-tools.mjs';
import { describeWith } from '../support/parts.js';
import { pythonEnvironment } from '../support/program.mjs';

const program = fileURLToPath(new URL('programs/library.py', import.meta.url));

interface Step {
  step: string;
  [detail: string]: unknown;
}

describeWith(['python livekit', 'cc'], 'the C library', () => {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-library-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs one of the program's functions to its end. */
  function run(name: string, env: Record<string, string> = {}) {
    const environment = pythonEnvironment('offhook', { OFFHOOK_LOG: 'error', ...env });
    const { status, stdout, stderr, signal } = spawnSync(python, [program, name], {
      env: environment,
      encoding: 'utf8',
      timeout: 60_000,
    });
    expect({ status, signal, stderr }).toMatchObject({ status: 0, signal: null });
    const steps = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Step);
    return { steps, stderr, of: (step: string) => steps.find((candidate) => candidate.step === step) };
  }

  test('says so when it is used before it is initialized, twice, or after its end', () => {
    const { steps, stderr } = run('order');
    expect(steps).toEqual([
      { step: 'request before initialize', works: false },
      { step: 'drop before initialize', dropped: false },
      { step: 'initialized', works: true },
      { step: 'initialized again', works: true },
      { step: 'disposed', works: false },
      { step: 'initialized after dispose', works: true },
    ]);
    expect(stderr).toContain('a request failed: livekit_ffi_initialize was not called in this process');
    expect(stderr).toContain('initialized again: events go to the new callback');
    expect(stderr).toContain('a request failed: livekit_ffi_dispose was called');
  });

  test('drops each handle once, and no handle that it does not know', () => {
    const { steps } = run('handles');
    expect(steps).toEqual([
      { step: 'response', dropped: [true, false] },
      { step: 'object', dropped: [true, false] },
      { step: 'unknown', dropped: [false, false, false, false] },
      { step: 'then', works: true },
    ]);
  });

  test('refuses addresses without memory, too much of it, and memory that cannot be written', () => {
    const { steps, stderr, of } = run('addresses');
    expect(steps.slice(0, 5).every(({ pushed }) => pushed === false)).toBe(true);
    expect(of('read-only')).toMatchObject({ processed: false });
    expect(of('good')).toMatchObject({ pushed: true, works: true });
    expect(stderr).toContain('there are no 960 bytes at 0xdead0000');
    expect(stderr).toMatch(/the request points to memory at 0x[0-9a-f]+ that cannot be written/);
  });

  test('answers garbage with an error', () => {
    const { steps, of } = run('garbage');
    expect(steps.slice(0, -1).every(({ handle }) => handle === 0)).toBe(true);
    expect(of('then')).toMatchObject({ works: true });
  });

  test('is not usable in a forked child until that initializes it, and goes on in the parent', () => {
    expect(run('fork').steps).toEqual([
      { step: 'in the child', works: false },
      { step: 'in the child, initialized', works: true },
      { step: 'in the parent', works: true },
    ]);
  });

  test('takes requests from many threads, and from within the callback', () => {
    expect(run('threads').of('done')).toMatchObject({ events: 800, failures: [] });
  });

  test('starts a new engine in place of one that was killed, and takes late drops of what that one gave out', () => {
    const { steps, stderr } = run('replaced');
    expect(steps).toEqual([
      { step: 'lost', pushed: false },
      { step: 'replaced', above: true, pushed: true, refused: true },
      { step: 'dropped', response: true, former: true, pushed: true, own: [true, false] },
      { step: 'disposed', children: null },
    ]);
    expect(stderr).toContain('the engine has ended, its rooms are disconnected: it was ended by signal 9');
  });

  test('says at once which Node is missing, and why an engine did not start', () => {
    const engine = (env: Record<string, string>) => {
      const { steps, stderr } = run('start', env);
      expect(steps.map(({ works }) => works)).toEqual([false, false, undefined]);
      return stderr;
    };
    expect(engine({ OFFHOOK_NODE: '', PATH: folder })).toContain('there is no Node: set OFFHOOK_NODE');
    expect(engine({ OFFHOOK_NODE: join(folder, 'none') })).toContain('No such file or directory');
    expect(engine({ OFFHOOK_NODE: '/bin/false' })).toContain('it exited with code 1');
    expect(engine({ OFFHOOK_ENGINE: join(folder, 'none') })).toContain(
      "the engine's files are not beside the library",
    );
    const old = join(folder, 'old.cjs');
    writeFileSync(
      old,
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.0' } });",
    );
    const stderr = engine({ NODE_OPTIONS: `--require ${old}` });
    expect(stderr).toContain('the engine needs Node 20 or later');
    expect(stderr).toContain('it exited with code 78');
  });

  test('starts an engine of its own where none waits at the socket that it was given', () => {
    const { steps, stderr } = run('start', { OFFHOOK_ENGINE_SOCKET: join(folder, 'nobody') });
    expect(steps.map(({ works }) => works)).toEqual([true, true, undefined]);
    expect(stderr).toContain('this process starts its own');
  });

  test('gives a request up when the engine hangs, and goes on with it when that goes on', async () => {
    const child = spawn(python, [program, 'wait'], { env: pythonEnvironment('offhook') });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const next = async () => JSON.parse((await lines.next()).value!) as Step;
    const engineOf = () => {
      const { stdout } = spawnSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' });
      return Number(stdout.trim());
    };
    let stderr = '';
    child.stderr.on('data', (text) => (stderr += text));
    try {
      expect(await next()).toEqual({ step: 'ready', works: true });
      process.kill(engineOf(), 'SIGSTOP');
      child.stdin.write('\n');
      expect(await next()).toEqual({ step: 'asked', works: false });
      expect(stderr).toContain('the engine did not answer in time');
      process.kill(engineOf(), 'SIGCONT');
      child.stdin.write('\n');
      expect(await next()).toEqual({ step: 'asked', works: true });
    } finally {
      child.kill('SIGKILL');
    }
  }, 40_000);

  // The engine has much to write there at this level, and the library that its requests fail.
  test.each([
    ['a closed standard error', '2>&-'],
    ['one on a full disk', '2>/dev/full'],
    ['one whose reader has gone', '2>&1 >&3 | true'],
  ])('lives on with %s', (_what, redirection) => {
    const script = `{ "$0" "$1" garbage ${redirection}; } 3>&1`;
    const { stdout, status } = spawnSync('sh', ['-c', script, python, program], {
      env: pythonEnvironment('offhook', { OFFHOOK_LOG: 'debug' }),
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    expect(stdout).toContain('"works": true');
  });

  test('for another platform is an error that names it, as it is with the native one', () => {
    const bytes = readFileSync(buildNative());
    // The machine in the header of an ELF file: 64-bit ARM.
    bytes.writeUInt16LE(183, 18);
    const other = join(folder, 'other-platform.so');
    writeFileSync(other, bytes);
    const code = 'from livekit import rtc; rtc.AudioResampler(48000, 16000)';
    const env = pythonEnvironment('offhook', { LIVEKIT_LIB_PATH: other });
    const { status, stderr } = spawnSync(python, ['-c', code], { env, encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toContain('ImportError: failed to load');
    expect(stderr).toContain(other);
  });

  test('of another release than its engine is an error that says so', () => {
    const source = join(folder, 'native');
    cpSync(fileURLToPath(new URL('../../native', import.meta.url)), source, { recursive: true });
    const wire = join(source, 'wire.h');
    writeFileSync(wire, readFileSync(wire, 'utf8').replace(/WIRE_VERSION = \d+/, 'WIRE_VERSION = 999'));
    const other = join(folder, 'other-release.so');
    const files = readdirSync(source).filter((name) => name.endsWith('.c'));
    const args = ['-std=c11', '-shared', '-fPIC', '-pthread', '-o', other, ...files, '-ldl'];
    const compiled = spawnSync('cc', args, { cwd: source, encoding: 'utf8' });
    expect(compiled.status, compiled.stderr).toBe(0);
    const engine = fileURLToPath(new URL('../../dist/engine/process.js', import.meta.url));
    const { steps, stderr } = run('start', { LIVEKIT_LIB_PATH: other, OFFHOOK_ENGINE: engine });
    expect(steps.map(({ works }) => works)).toEqual([false, false, undefined]);
    expect(stderr).toContain('library and engine must be of one release');
  });
});
