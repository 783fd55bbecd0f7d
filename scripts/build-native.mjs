// Compiles native/ to native/build/. Skipped when nothing there is newer than the library.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { python } from './python-tools.mjs';

const folder = fileURLToPath(new URL('../native', import.meta.url));
const sources = readdirSync(folder).filter((name) => name.endsWith('.c'));
const inputs = readdirSync(folder).filter((name) => /\.[ch]$/.test(name));

const fileNames = { linux: 'liboffhook_ffi.so', darwin: 'liboffhook_ffi.dylib', win32: 'offhook_ffi.dll' };
const fileNameOn = (platform) => fileNames[platform] ?? fileNames.linux;

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
const flagsOn = {
  linux: ['-fPIC', '-pthread', '-ldl', '-Wl,-z,nodelete'],
  darwin: ['-fPIC', '-Wl,-install_name,@rpath/liboffhook_ffi.dylib'],
  win32: [],
};
const newest = () => Math.max(...inputs.map((name) => statSync(`${folder}/${name}`).mtimeMs));

function compile(command, platform, output, more = []) {
  if (existsSync(output) && statSync(output).mtimeMs > newest()) return output;
  mkdirSync(dirname(output), { recursive: true });
  const paths = sources.map((name) => `${folder}/${name}`);
  const [program, ...before] = command;
  const args = [...before, ...flags, ...more, '-o', output, ...paths, ...(flagsOn[platform] ?? [])];
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (status !== 0) throw new Error(`${command.join(' ')} failed${error ? `: ${error.message}` : ''}`);
  return output;
}

/** Builds for this machine, with cc or the compiler that CC names. @throws Error when there is none, or it fails */
export function buildNative() {
  return compile(
    [process.env.CC ?? 'cc'],
    process.platform,
    `${folder}/build/${fileNameOn(process.platform)}`,
  );
}

/** Builds for another platform with the zig of .tools/python. @throws Error when it is not there, or fails */
export function crossBuildNative(target, platform) {
  const command = [python, '-m', 'ziglang', 'cc', '-target', target];
  return compile(command, platform, `${folder}/build/${target}/${fileNameOn(platform)}`, ['-s']);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(buildNative());
