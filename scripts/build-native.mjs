// Compiles native/ to native/build/. Skipped when nothing there is newer than the library.
//   node scripts/build-native.mjs            for this machine, with cc (or the compiler that CC names)
//   node scripts/build-native.mjs --target   for every platform, with the zig of .tools/python
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../native', import.meta.url));
const sources = readdirSync(folder).filter((name) => name.endsWith('.c'));
const inputs = readdirSync(folder).filter((name) => /\.[ch]$/.test(name));

const fileNames = { linux: 'liboffhook_ffi.so', darwin: 'liboffhook_ffi.dylib', win32: 'offhook_ffi.dll' };

/** Where the library for this machine lies once it is built. */
export const libraryPath = `${folder}/build/${fileNames[process.platform] ?? fileNames.linux}`;

const flags = [
  '-std=c11',
  '-O2',
  '-g',
  '-Wall',
  '-Wextra',
  '-Wno-format-truncation',
  '-fvisibility=hidden',
  '-shared',
];
const newest = () => Math.max(...inputs.map((name) => statSync(`${folder}/${name}`).mtimeMs));

function compile(command, output, ...more) {
  if (existsSync(output) && statSync(output).mtimeMs > newest()) return;
  mkdirSync(dirname(output), { recursive: true });
  const [program, ...before] = command;
  const { status, error } = spawnSync(
    program,
    [...before, ...flags, ...more, '-o', output, ...sources.map((name) => `${folder}/${name}`)],
    { stdio: 'inherit' },
  );
  if (status !== 0) throw new Error(`${command.join(' ')} failed${error ? `: ${error.message}` : ''}`);
}

/** Builds for this machine. @throws Error when there is no compiler, or it fails */
export function buildNative() {
  const more = process.platform === 'linux' ? ['-fPIC', '-pthread', '-ldl', '-Wl,-z,nodelete'] : [];
  compile([process.env.CC ?? 'cc'], libraryPath, ...more);
  return libraryPath;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(buildNative());
