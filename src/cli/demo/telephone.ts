import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OffhookError } from '../../errors/index.js';
import type { CallerLine } from './steps.js';
import { levelsDbfs, type Recording, readWav, wavOf } from './wav.js';

export interface TelephoneOptions {
  /** Whom it calls: `sip:…`. */
  uri: string;
  /** What it heard is written here, from dialling on. */
  recording: string;
  /** It hangs up when the call is not answered for this long. */
  giveUpMs: number;
  /** What happens, as it happens; `greeted` is known at the end, from what was recorded. */
  onEvent: (line: CallerLine) => void;
}

const modules = [
  '/usr/lib/baresip/modules',
  '/usr/lib/x86_64-linux-gnu/baresip/modules',
  '/usr/local/lib/baresip/modules',
];
const sampleRate = 8_000;
/** The call goes on for this long after the answer. */
const talkMs = 9_000;
const audibleDbfs = -45;
const stepMs = 50;

/** Whether the telephone of the demo is on this machine. */
export function hasTelephone(): boolean {
  return (
    spawnSync('baresip', ['-h'], { stdio: 'ignore' }).error === undefined &&
    modules.some((path) => existsSync(path))
  );
}

/** Calls with a real telephone, baresip, and hangs up: content, or because nobody answered. */
export async function callByTelephone({
  uri,
  recording,
  giveUpMs,
  onEvent,
}: TelephoneOptions): Promise<void> {
  if (!hasTelephone()) {
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'no telephone program is installed on this machine', {
      advice: 'Install baresip (on Debian: apt-get install baresip).',
    });
  }
  const folder = mkdtempSync(join(tmpdir(), 'offhook-telephone-'));
  writeConfiguration(folder);
  const now = () => performance.timeOrigin + performance.now();
  const child = spawn('baresip', ['-f', folder, '-s', '-e', `/dial ${uri}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const dialledAtMs = now();
  onEvent({ event: 'calling', atMs: dialledAtMs });
  let answeredAtMs: number | undefined;
  let hangUp: NodeJS.Timeout | undefined;
  let hasEnded = false;
  const end = (event: 'hung-up' | 'gave-up') => {
    hasEnded = true;
    onEvent({ event, atMs: now() });
    // A telephone that is told to quit hangs up first: by BYE, or by CANCEL when nobody has answered.
    child.kill('SIGTERM');
  };
  hangUp = setTimeout(() => end('gave-up'), giveUpMs);
  let log = '';
  const read = (chunk: Buffer) => {
    const before = log;
    log += chunk.toString('latin1');
    const appears = (text: string) => log.includes(text) && !before.includes(text);
    if (appears('180 Ringing')) onEvent({ event: 'ringing', atMs: now() });
    // What follows giving up is the answer to CANCEL.
    if (appears('SIP/2.0 200 OK') && answeredAtMs === undefined && !hasEnded) {
      answeredAtMs = now();
      onEvent({ event: 'line-open', atMs: answeredAtMs });
      clearTimeout(hangUp);
      hangUp = setTimeout(() => end('hung-up'), talkMs);
    }
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  const killed = setTimeout(() => child.kill('SIGKILL'), giveUpMs + talkMs + 5_000);
  await new Promise<void>((resolve) => child.once('exit', () => resolve()));
  clearTimeout(hangUp);
  clearTimeout(killed);
  const heard = readHeard(join(folder, 'heard'));
  rmSync(folder, { recursive: true, force: true });
  const waitedMs = (answeredAtMs ?? now()) - dialledAtMs;
  writeFileSync(recording, wavOf(afterSilence(heard, waitedMs)));
  const first = levelsDbfs(heard, stepMs).findIndex((level) => level > audibleDbfs);
  if (first >= 0) onEvent({ event: 'greeted', atMs: dialledAtMs + waitedMs + first * stepMs });
}

function writeConfiguration(folder: string): void {
  mkdirSync(join(folder, 'heard'));
  const silence = { samples: new Int16Array(sampleRate * 60), sampleRate };
  writeFileSync(join(folder, 'says.wav'), wavOf(silence));
  const lines = [
    'sip_listen 127.0.0.1:0',
    `audio_source aufile,${join(folder, 'says.wav')}`,
    'audio_player aufile,/dev/null',
    'audio_alert aufile,/dev/null',
    `ausrc_srate ${sampleRate}`,
    `auplay_srate ${sampleRate}`,
    'ausrc_channels 1',
    'auplay_channels 1',
    `snd_path ${join(folder, 'heard')}`,
    `module_path ${modules.find((path) => existsSync(path))}`,
    ...['stdio', 'g711', 'aufile', 'sndfile'].map((name) => `module ${name}.so`),
    'module_tmp account.so',
    'module_app menu.so',
  ];
  writeFileSync(join(folder, 'config'), `${lines.join('\n')}\n`);
  writeFileSync(join(folder, 'accounts'), '<sip:caller@127.0.0.1>;regint=0;audio_codecs=pcmu\n');
  writeFileSync(join(folder, 'contacts'), '');
}

function readHeard(folder: string): Recording {
  const file = readdirSync(folder).find((name) => name.includes('dec'));
  return file ? readWav(readFileSync(join(folder, file))) : { samples: new Int16Array(0), sampleRate };
}

function afterSilence({ samples, sampleRate: rate }: Recording, silenceMs: number): Recording {
  const before = Math.round((rate * silenceMs) / 1_000);
  const whole = new Int16Array(before + samples.length);
  whole.set(samples, before);
  return { samples: whole, sampleRate: rate };
}
