import { type ChildProcessByStdio, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { engineEnvironment } from '../support/program.mjs';
import { until } from '../support/until.js';

/** Whether nothing listens at a socket that is there. */
async function refuses(address: string): Promise<boolean> {
  const socket = connect(address);
  // Rejects with the socket's error.
  const outcome = await once(socket, 'connect').catch((error: NodeJS.ErrnoException) => error.code);
  socket.destroy();
  return outcome === 'ECONNREFUSED';
}

const root = fileURLToPath(new URL('../..', import.meta.url));

describeWith(['python livekit', 'cc'], 'the Python package', () => {
  let folder: string;
  let bin: string;

  /** Runs a command of the installed package. */
  function run(command: string, args: string[], env: Record<string, string> = {}, timeoutMs = 60_000) {
    const environment = engineEnvironment({ PYTHONWARNINGS: 'ignore', ...env });
    const { status, stdout, stderr } = spawnSync(join(bin, command), args, {
      env: environment,
      encoding: 'utf8',
      cwd: folder,
      timeout: timeoutMs,
    });
    return { status, stdout, stderr };
  }

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'offhook-package-'));
    bin = join(folder, 'venv/bin');
    const must = (command: string, args: string[]) => {
      const { status, stderr, stdout } = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
      if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stdout}${stderr}`);
    };
    must(process.execPath, ['scripts/build-wheel.mjs', '--out', folder]);
    must('python3', ['-m', 'venv', join(folder, 'venv')]);
    const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'))!;
    must(join(bin, 'python'), [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-index',
      '--no-deps',
      join(folder, wheel),
    ]);
    // What the wheel depends on, and LiveKit's packages, are those of the tests.
    const packages = (environment: string) => {
      const lib = join(environment, 'lib');
      return join(lib, readdirSync(lib)[0]!, 'site-packages');
    };
    appendFileSync(
      join(packages(join(folder, 'venv')), 'tests.pth'),
      `${packages(join(root, '.tools/python'))}\n`,
    );
  }, 300_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const program =
    'from livekit import rtc; from livekit.rtc._ffi_client import FfiClient; r = rtc.AudioResampler(48000, 16000); print(FfiClient.instance._ffi_lib._name)';

  test('runs a program on the engine, with the Node that it brings and each kind of engine', () => {
    for (const mode of ['own', 'ready', 'shared']) {
      const { stdout, stderr, status } = run('offhook-run', ['-c', program], {
        PATH: '/usr/bin:/bin',
        OFFHOOK_ENGINE_MODE: mode,
      });
      expect({ mode, stdout, stderr, status }).toEqual({
        mode,
        stdout: expect.stringMatching(/site-packages\/offhook\/lib\/liboffhook_ffi\.so\n$/),
        stderr: '',
        status: 0,
      });
    }
  });

  test('runs as a module too, and passes the exit code on', () => {
    expect(run('python', ['-m', 'offhook', '-c', 'raise SystemExit(7)']).status).toBe(7);
    expect(run('offhook-run', ['-c', 'raise SystemExit(9)']).status).toBe(9);
    expect(run('offhook-run', []).status).toBe(2);
  });

  test('is enabled by a program that is started otherwise, but not once LiveKit is in use', () => {
    const before = `import offhook; offhook.enable(); ${program}; offhook.enable()`;
    expect(run('python', ['-c', before]).stdout).toContain('liboffhook_ffi.so');
    const after =
      'from livekit.rtc._ffi_client import FfiClient; FfiClient.instance; import offhook; offhook.enable()';
    expect(run('python', ['-c', after]).stderr).toContain(
      'RuntimeError: offhook.enable() must be called before',
    );
  });

  test('has the commands of the engine', () => {
    expect(run('offhook', ['--version']).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(run('python', ['-m', 'offhook', 'token', '--help']).stdout).toContain('token');
    for (const [command, ...args] of [['offhook-run'], ['python', '-m', 'offhook']] as const)
      expect(run(command, [...args, '--version']).stdout).toBe(run('offhook', ['--version']).stdout);
  });

  test('removes the socket of an engine that was killed, not one of an engine that may live', async () => {
    const TMPDIR = join(folder, 'sockets');
    mkdirSync(TMPDIR);
    const script = 'import os, sys; print(os.environ["OFFHOOK_ENGINE_SOCKET"], flush=True); sys.stdin.read()';
    const programs: ChildProcessByStdio<Writable, Readable, null>[] = [];
    /** Address of the engine of a new program. */
    async function startProgram({ isKilled = false, isOld = false }): Promise<string> {
      const program = spawn(join(bin, 'offhook-run'), ['-c', script], {
        env: engineEnvironment({ TMPDIR }),
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      programs.push(program);
      const [line] = await once(createInterface({ input: program.stdout }), 'line');
      const address = String(line);
      if (isKilled) {
        const engine = execFileSync('ps', ['-o', 'pid=', '--ppid', String(program.pid)], {
          encoding: 'utf8',
        });
        process.kill(Number(engine), 'SIGKILL');
        await until('refused connection', () => refuses(address));
      }
      if (isOld) utimesSync(address, 0, 0);
      return address;
    }
    try {
      const killed = await startProgram({ isKilled: true, isOld: true });
      const young = await startProgram({ isKilled: true });
      const living = await startProgram({ isOld: true });
      expect([killed, young, living].map((address) => existsSync(address))).toEqual([false, true, true]);
      expect(existsSync(dirname(killed))).toBe(false);
    } finally {
      for (const program of programs) program.stdin.end();
      await Promise.all(programs.map((program) => program.exitCode ?? once(program, 'exit')));
    }
  });

  test('makes a token, and says what is wrong with connecting to a server that is not there', () => {
    const token = run('offhook', ['token', '--room', 'r', '--identity', 'i']);
    expect(token).toMatchObject({ status: 0, stdout: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+\n$/) });
    const doctor = run('offhook', ['doctor', 'ws://127.0.0.1:9']);
    expect(doctor.status).not.toBe(0);
    expect(doctor.stdout + doctor.stderr).toContain('127.0.0.1:9');
  });

  test('plays the demo: a call to an agent whose filter never loads', () => {
    const { status, stdout, stderr } = run('offhook', ['demo', '--out', join(folder, 'demo')], {}, 120_000);
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stdout).toContain('examples/python/agent.py');
    expect(stdout).toContain('hears the agent');
    expect(existsSync(join(folder, 'demo/index.html'))).toBe(true);
    expect(run('offhook', ['demo', '--both']).stderr).toContain('are not in the Python package');
  }, 150_000);

  test('says what is wrong with a Node that does not exist or is another program', () => {
    const without = run('offhook-run', ['-c', program], { OFFHOOK_NODE: '/nowhere/node' });
    expect(without.stderr).toContain('Node could not be started: /nowhere/node: No such file or directory');
    const wrong = run('offhook-run', ['-c', program], { OFFHOOK_NODE: join(bin, 'python') });
    expect(wrong.stderr).toContain('the engine has ended');
    const mode = run('offhook-run', ['-c', program], { OFFHOOK_ENGINE_MODE: 'other' });
    expect(mode).toMatchObject({ status: 1, stderr: expect.stringContaining('own, ready or shared') });
  });

  test('runs a room server', async () => {
    const dev = spawn(join(bin, 'offhook'), ['dev', '--port', '0'], { env: engineEnvironment() });
    try {
      let printed = '';
      dev.stdout.on('data', (text) => (printed += text));
      await expect.poll(() => printed, { timeout: 20_000 }).toMatch(/Room server\s+ws:\/\//);
    } finally {
      dev.kill('SIGTERM');
    }
  });
});
