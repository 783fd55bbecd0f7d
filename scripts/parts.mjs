// What tests and benches need and npm does not install: the one list of it.
//   node scripts/parts.mjs --packages   the Debian packages that are missing, in one line
//   node scripts/parts.mjs --install    fetches what needs no root: livekit-server (with go), Python packages
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installPythonTools } from './python-tools.mjs';

const tools = fileURLToPath(new URL('../.tools/bin', import.meta.url));
const livekitServerVersion = 'v1.11.0';
const goFolder = '/usr/local/go/bin';

/** Command, and the Debian package that holds it. */
const packages = {
  cc: 'gcc',
  chromium: 'chromium',
  openssl: 'openssl',
  sipp: 'sip-tester',
  'espeak-ng': 'espeak-ng',
  sox: 'sox',
  nft: 'nftables',
  ip: 'iproute2',
  'redis-server': 'redis-server',
  git: 'git',
  python3: 'python3',
  baresip: 'baresip',
  linphonec: 'linphone-cli',
  kamailio: 'kamailio',
  ffmpeg: 'ffmpeg',
};

function find(command, ...more) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...more];
  return folders.map((folder) => join(folder, command)).find((path) => existsSync(path));
}

/** Path of the livekit-server binary: from PATH, else from .tools/bin; undefined when there is none. */
export const findLivekitServer = () => find('livekit-server', tools);

/** @returns {string[]} names of packages whose commands are not here */
export function missingPackages() {
  const missing = Object.keys(packages)
    // Most of these are in sbin, which is not in everybody's PATH.
    .filter((command) => !find(command, '/usr/sbin', '/sbin'))
    .map((command) => packages[command]);
  if (!findLivekitServer() && !find('go', goFolder)) missing.push('golang-go');
  const venv = spawnSync('python3', ['-c', 'import ensurepip, venv'], { stdio: 'ignore' });
  if (venv.status !== 0) missing.push('python3-venv');
  return missing;
}

/** What to type to get the packages that are missing; undefined when none is. */
export function packagesCommand() {
  const missing = missingPackages();
  return missing.length === 0
    ? undefined
    : `sudo apt-get install -y --no-install-recommends ${missing.join(' ')}`;
}

/** What to type to get everything that is missing, for a message. */
export const howToGetParts = () =>
  ['npm run setup -- --all', packagesCommand()].filter(Boolean).join(', then ');

/** @throws Error when there is no go, or the module proxy cannot be reached */
function installLivekitServer() {
  if (findLivekitServer()) return;
  const go = find('go', goFolder);
  if (!go) throw new Error('livekit-server is built with go, which is not here');
  console.log(`Building livekit-server ${livekitServerVersion} into .tools/bin …`);
  mkdirSync(tools, { recursive: true });
  const module = `github.com/livekit/livekit-server/cmd/server@${livekitServerVersion}`;
  const env = { ...process.env, GOBIN: tools };
  const { status } = spawnSync(go, ['install', module], { env, stdio: 'inherit' });
  if (status !== 0) throw new Error(`go install ${module} failed`);
  renameSync(join(tools, 'server'), join(tools, 'livekit-server'));
}

/** Fetches what needs no root. What cannot be had is named, and costs nothing else. */
export function installParts() {
  for (const install of [installLivekitServer, installPythonTools]) {
    try {
      install();
    } catch (error) {
      console.log(`${error.message}; the tests that need it are skipped and say so`);
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--packages')) console.log(missingPackages().join(' '));
  if (process.argv.includes('--install')) installParts();
}
