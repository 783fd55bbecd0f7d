// Puts the packages of python/requirements-test.txt into a virtual environment in .tools/python, and the later version of
// `livekit` beside it, unless they are there.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const requirements = `${root}/python/requirements-test.txt`;
const environment = `${root}/.tools/python`;
const installed = `${environment}/requirements.txt`;
const pipInstall = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
const onWindows = process.platform === 'win32';

/** The interpreter that has the packages. */
export const python = onWindows ? `${environment}/Scripts/python.exe` : `${environment}/bin/python`;

/** A later version of `livekit` than the one that `livekit-agents` pins: found first where PYTHONPATH names this folder. */
export const laterLivekit = `${root}/.tools/python-livekit-1.2.1`;

const isCurrent = () =>
  existsSync(python) &&
  existsSync(installed) &&
  readFileSync(installed, 'utf8') === readFileSync(requirements, 'utf8');

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`);
}

/** @throws Error when there is no Python with venv, or PyPI cannot be reached */
export function installPythonTools() {
  installEnvironment();
  if (existsSync(laterLivekit)) return;
  const version = `livekit==${laterLivekit.split('-').at(-1)}`;
  run(python, [...pipInstall, '--no-deps', '--target', laterLivekit, version]);
}

function installEnvironment() {
  if (isCurrent()) return;
  console.log('Installing the Python packages of python/requirements-test.txt into .tools/python …');
  run(onWindows ? 'python' : 'python3', ['-m', 'venv', environment]);
  run(python, [...pipInstall, '--requirement', requirements]);
  copyFileSync(requirements, installed);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installPythonTools();
