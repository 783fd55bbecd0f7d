// The engines that Python programs run on: native, and offhook with each kind of engine process.
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const listen = fileURLToPath(new URL('../../dist/engine/listen.js', import.meta.url));

/** native; an engine that each process starts; one that waits ready for each; one for all. */
export const kinds = ['native', 'own', 'ready', 'shared'];

/**
 * Starts what programs on an engine of `kind` need. `pids`: what belongs to the engine and to no program.
 *
 * @param {string} kind
 * @returns {Promise<{ engine: import('./program.mjs').Engine, env: Record<string, string>, pids: number[], stop: () => void }>}
 */
export async function startEngine(kind) {
  if (kind === 'native' || kind === 'own') {
    return { engine: kind === 'native' ? 'native' : 'offhook', env: {}, pids: [], stop: () => {} };
  }
  const address = join(mkdtempSync(join(tmpdir(), 'offhook-')), 'engine');
  const mode = kind === 'shared' ? 'shared' : 'own';
  const child = spawn(
    process.execPath,
    ['--max-semi-space-size=8', listen, '--address', address, '--mode', mode],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  await new Promise((resolve, reject) => {
    child.stdout.once('data', resolve);
    child.once('exit', () => reject(new Error('the waiting engine did not start')));
  });
  return {
    engine: 'offhook',
    env: { OFFHOOK_ENGINE_SOCKET: address },
    pids: [child.pid ?? 0],
    stop: () => child.stdin.end(),
  };
}
