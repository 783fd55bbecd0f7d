import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import threads, { type WorkerOptions } from 'node:worker_threads';
import { expect, test } from 'vitest';

const workers: threads.Worker[] = [];
const { Worker } = threads;
// The thread is the library's own: a test has no other way to end it.
threads.Worker = class extends Worker {
  constructor(file: string | URL, options?: WorkerOptions) {
    super(file, options);
    workers.push(this);
  }
};
const { offhook } = await import('./engine-of-the-package.js');

const codeOf = (url: string) =>
  new offhook.Room().connect(url, 'token').then(
    () => 'connected',
    (error: { code: string }) => error.code,
  );

test('a connect fails with a code when the engine thread ends, and the next room gets another thread', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  const reached = once(silent, 'connection');
  const pending = codeOf(`ws://127.0.0.1:${port}`);
  await reached;
  await workers.at(-1)!.terminate();
  expect(await pending).toBe('OFFHOOK_CLOSED');
  expect(await codeOf('ws://127.0.0.1:1')).toBe('OFFHOOK_UNREACHABLE');
  silent.close();
});

test('a connect fails with a code when the engine thread cannot start', () => {
  const code = `import { Room } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
    await new Room().connect('ws://127.0.0.1:1', 'token').catch(({ code }) => console.log(code));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    env: {
      ...process.env,
      NODE_OPTIONS: `--require ${fileURLToPath(new URL('../ffi/programs/broken-thread.cjs', import.meta.url))}`,
    },
    encoding: 'utf8',
    timeout: 30_000,
  });
  expect(stdout.trim(), stderr).toBe('OFFHOOK_CLOSED');
  expect(stderr).toContain('Map is not a constructor');
});
