// Puts the packages of python/requirements-test.txt into a virtual environment in .tools/python, unless they are there.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const requirements = `${root}/python/requirements-test.txt`;
const environment = `${root}/.tools/python`;
const installed = `${environment}/requirements.txt`;
const onWindows = process.platform === 'win32';

/** The interpreter that has the packages. */
export const python = onWindows ? `${environment}/Scripts/python.exe` : `${environment}/bin/python`;

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
  if (isCurrent()) return;
  console.log('Installing the Python packages of python/requirements-test.txt into .tools/python …');
  run(onWindows ? 'python' : 'python3', ['-m', 'venv', environment]);
  run(python, [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--requirement',
    requirements,
  ]);
  copyFileSync(requirements, installed);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installPythonTools();
