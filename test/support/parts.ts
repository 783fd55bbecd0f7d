import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { describe, type SuiteFactory } from 'vitest';
import { laterLivekit, python } from '../../scripts/python-tools.mjs';
import { findLivekitServer } from './livekit-server.mjs';

/** What a test may need that npm does not install. */
export type Part =
  | 'livekit-server'
  | 'cc'
  | 'chromium'
  | 'network namespaces'
  | 'native engine'
  | 'openssl'
  | 'python'
  | 'python livekit'
  | 'python livekit 1.2'
  | 'baresip'
  | 'sipp'
  | 'linphone'
  | 'kamailio'
  | 'ffmpeg';

function answers(command: string, args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore', timeout: 20_000 }).status === 0;
}

function starts(command: string, args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore', timeout: 20_000 }).error === undefined;
}

const isHere: Record<Part, () => boolean> = {
  'livekit-server': () => findLivekitServer() !== undefined,
  cc: () => answers('cc', ['--version']),
  openssl: () => answers('openssl', ['version']),
  chromium: () => answers('chromium', ['--version']),
  'network namespaces': () => process.getuid?.() === 0 && answers('ip', ['netns', 'list']),
  python: () => answers('python3', ['-c', 'import venv, ensurepip']),
  'python livekit': () =>
    answers(python, ['-c', 'import importlib.metadata as m; m.version("livekit-agents")']),
  'python livekit 1.2': () => existsSync(laterLivekit),
  // These two do not end with 0 when they are asked for help.
  baresip: () => starts('baresip', ['-h']),
  sipp: () => starts('sipp', ['-v']),
  linphone: () => answers('linphonec', ['-v']),
  kamailio: () => answers('kamailio', ['-v']),
  ffmpeg: () => answers('ffmpeg', ['-version']),
  'native engine': () => answers(process.execPath, ['-e', "require('@livekit/rtc-ffi-bindings')"]),
};

/** The first of `parts` that this machine lacks. */
export function missingPart(parts: readonly Part[]): Part | undefined {
  return parts.find((part) => !isHere[part]());
}

/** A `describe` that is skipped, with a title naming what is missing, on a machine without one of `parts`. */
export function describeWith(parts: readonly Part[], title: string, body: SuiteFactory): void {
  const missing = missingPart(parts);
  if (missing === undefined) describe(title, body);
  else describe.skip(`${title} (skipped: ${missing} is not on this machine)`, body);
}
