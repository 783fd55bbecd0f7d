// npm run build:wheel [-- --out FOLDER] [--all]: the Python package as a wheel for this machine, or for every platform.
//
// A wheel has the C library, and the engine with what it needs at run time; Node comes as a dependency of the wheel. For
// other platforms the library is compiled by the zig of .tools/python, and npm installs the dependencies for them.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildNative, crossBuildNative } from './build-native.mjs';
import { python } from './python-tools.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** `zig`: the target of the compiler, with the oldest C library that it must run on; `npm`: what npm calls the platform. */
export const platforms = [
  {
    tag: 'manylinux_2_17_x86_64',
    zig: 'x86_64-linux-gnu.2.17',
    npm: { os: 'linux', cpu: 'x64', libc: 'glibc' },
  },
  {
    tag: 'manylinux_2_17_aarch64',
    zig: 'aarch64-linux-gnu.2.17',
    npm: { os: 'linux', cpu: 'arm64', libc: 'glibc' },
  },
  { tag: 'musllinux_1_2_x86_64', zig: 'x86_64-linux-musl', npm: { os: 'linux', cpu: 'x64', libc: 'musl' } },
  {
    tag: 'musllinux_1_2_aarch64',
    zig: 'aarch64-linux-musl',
    npm: { os: 'linux', cpu: 'arm64', libc: 'musl' },
  },
  { tag: 'macosx_11_0_x86_64', zig: 'x86_64-macos.11.0', npm: { os: 'darwin', cpu: 'x64' } },
  { tag: 'macosx_11_0_arm64', zig: 'aarch64-macos.11.0', npm: { os: 'darwin', cpu: 'arm64' } },
  { tag: 'win_amd64', zig: 'x86_64-windows-gnu', npm: { os: 'win32', cpu: 'x64' } },
];

function run(command, args, options = {}) {
  const { status, error, stdout } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    ...options,
  });
  if (status !== 0) throw new Error(`${command} failed${error ? `: ${error.message}` : ''}`);
  return stdout;
}

/** LiveKit's native engine, which the bindings bring along, is what this one takes the place of. */
const isLeftOut = (name) => name.startsWith('@livekit/rtc-ffi-bindings-');
/** Declarations, maps and sources are for people who develop. */
const isUsedAtRunTime = (path) =>
  !/\.(d\.[cm]?ts|map|[cm]?ts|md|markdown)$/.test(path) && !/\/(test|tests|doc|docs)$/.test(path);

/** The folder of a package as Node finds it from `from`. */
function folderOf(name, from) {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (folder === dirname(folder)) return undefined;
  }
}

/** Copies the packages that `manifest` needs at run time, and what those need, from under `from` to under `to`. */
function copyDependencies(manifest, from, base, to, seen = new Set()) {
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
    const folder = isLeftOut(name) ? undefined : folderOf(name, from);
    if (!folder || seen.has(folder)) continue;
    seen.add(folder);
    cpSync(folder, join(to, folder.slice(base.length)), {
      recursive: true,
      dereference: true,
      // Nested packages come with those that need them.
      filter: (path) => isUsedAtRunTime(path) && !path.slice(folder.length).startsWith('/node_modules'),
    });
    copyDependencies(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')), folder, base, to, seen);
  }
}

/** The dependencies for another platform, as npm installs them there. */
function installFor({ tag, npm }) {
  const folder = join(root, 'out/wheel', tag, 'install');
  mkdirSync(folder, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) cpSync(join(root, name), join(folder, name));
  const flags = Object.entries(npm).map(([name, value]) => `--${name}=${value}`);
  run(
    'npm',
    ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...flags],
    { cwd: folder },
  );
  const { koffi } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).devDependencies;
  run(
    'npm',
    ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', ...flags, `koffi@${koffi}`],
    {
      cwd: folder,
    },
  );
  return folder;
}

function stageEngine(platform, isHere) {
  const engine = join(root, 'out/wheel', platform.tag, 'engine');
  rmSync(engine, { recursive: true, force: true });
  mkdirSync(engine, { recursive: true });
  const here = root.replace(/\/$/, '');
  const base = isHere ? here : installFor(platform);
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  cpSync(join(root, 'dist'), join(engine, 'dist'), { recursive: true, filter: isUsedAtRunTime });
  // Nobody installs a package of npm beside a wheel: what native filters need comes with it.
  const { koffi } = manifest.devDependencies;
  copyDependencies({ dependencies: { ...manifest.dependencies, koffi } }, base, base, engine);
  // For `offhook demo`: the agent in Python, its filter, and a caller on the package for Node.
  for (const name of ['python', 'speech', 'noise-filter', 'caller.mjs']) {
    cpSync(join(root, 'examples', name), join(engine, 'examples', name), { recursive: true });
  }
  copyDependencies({ dependencies: { '@livekit/rtc-node': '' } }, here, here, engine);
  const { name, version, description, type, license, engines } = manifest;
  writeFileSync(
    join(engine, 'package.json'),
    `${JSON.stringify({ name, version, description, type, license, engines }, null, 2)}\n`,
  );
  return engine;
}

/** @returns the path of the wheel */
export function buildWheel(platform, { out, isHere }) {
  const library =
    platform.zig && !isHere ? crossBuildNative(platform.zig, platform.npm.os) : buildWheelLibrary(platform);
  const engine = stageEngine(platform, isHere);
  const interpreter = existsSync(python) ? python : 'python3';
  const args = [
    'python/wheel_builder.py',
    out,
    '--tag',
    platform.tag,
    '--library',
    library,
    '--engine',
    engine,
  ];
  return run(interpreter, args).trim();
}

/** For this machine: by zig too where it is there, so that it runs with older C libraries than this machine's. */
function buildWheelLibrary(platform) {
  try {
    return crossBuildNative(platform.zig, platform.npm.os);
  } catch {
    console.error('zig is not in .tools/python: the wheel is compiled by cc, for machines like this one');
    return buildNative();
  }
}

const isGlibc = () => Boolean(process.report?.getReport().header.glibcVersionRuntime);
export const isThisMachine = ({ npm }) =>
  npm.os === process.platform &&
  npm.cpu === process.arch &&
  (!npm.libc || (npm.libc === 'glibc') === isGlibc());

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: join(root, 'out/wheel') },
      all: { type: 'boolean', default: false },
    },
  });
  run(process.execPath, ['scripts/build.mjs']);
  const wanted = values.all ? platforms : platforms.filter(isThisMachine);
  if (wanted.length === 0) throw new Error(`no wheel for ${process.platform} ${process.arch}`);
  for (const platform of wanted) {
    const wheel = buildWheel(platform, { out: values.out, isHere: isThisMachine(platform) });
    console.log(`${basename(wheel)}  ${(readFileSync(wheel).length / 2 ** 20).toFixed(1)} MB`);
  }
}
