import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readWav, wavOf } from '../../src/cli/demo/wav.js';
import type { Pcm } from './tone.js';

/** Codecs by the names that linphone has for them, of which one is switched on. */
const codecs = { pcmu: 'PCMU', pcma: 'PCMA', g722: 'G722', opus: 'opus' } as const;
const clockRates = { pcmu: 8_000, pcma: 8_000, g722: 8_000, opus: 48_000 } as const;

export interface LinphoneOptions {
  /** What it says in every call. */
  says: Pcm;
  codec: keyof typeof codecs;
  transport?: 'udp' | 'tcp' | 'tls';
  /** Keys in the session description (SDES). */
  encrypts?: boolean;
}

let nextPort = 25_000 + (process.pid % 4_000);

function configuration({ codec, transport = 'udp', encrypts = false }: LinphoneOptions): string {
  const ports = { udp: 0, tcp: 0, tls: 0 };
  ports[transport] = nextPort++;
  const lines = [
    ...['[sip]', `sip_port=${ports.udp}`, `sip_tcp_port=${ports.tcp}`, `sip_tls_port=${ports.tls}`],
    ...['contact=sip:bob@127.0.0.1', 'guess_hostname=0', 'auto_net_state_mon=0'],
    ...[
      'verify_server_certs=0',
      'verify_server_cn=0',
      'ipv6_migration_done=1',
      'use_ipv6=0',
      'bind_address=127.0.0.1',
      'use_rfc2833=1',
      'use_info=0',
    ],
    `media_encryption=${encrypts ? 'srtp' : 'none'}`,
    ...['[rtp]', `audio_rtp_port=${45_000 + (nextPort % 1_000) * 2}`],
    ...['[sound]', 'echocancellation=0', '[video]', 'enabled=0', 'capture=0', 'display=0'],
    ...Object.entries(codecs).flatMap(([name, mime], i) => {
      const rate = clockRates[name as keyof typeof codecs];
      const section = [`[audio_codec_${i}]`, `mime=${mime}`, `rate=${rate}`];
      return [...section, `channels=${name === 'opus' ? 2 : 1}`, `enabled=${name === codec ? 1 : 0}`];
    }),
  ];
  return `${lines.join('\n')}\n`;
}

/** A real telephone: linphone's console in a process of its own, with sound from and to files. */
export class Linphone {
  log = '';
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #exited: Promise<void>;

  private constructor(process: ChildProcess, folder: string) {
    this.#process = process;
    this.#folder = folder;
    this.#exited = new Promise((resolve) => process.once('exit', () => resolve()));
    for (const stream of [process.stdout!, process.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        this.log += chunk.toString('latin1');
      });
    }
  }

  static start(options: LinphoneOptions): Linphone {
    const folder = mkdtempSync(join(tmpdir(), 'offhook-linphone-'));
    writeFileSync(join(folder, 'says.wav'), wavOf(options.says));
    writeFileSync(join(folder, 'linphonerc'), configuration(options));
    // Without a folder for its database it does not listen.
    for (const name of ['.local/share', '.config'])
      mkdirSync(join(folder, name, 'linphone'), { recursive: true });
    const env: NodeJS.ProcessEnv = { ...process.env, HOME: folder, DISPLAY: '' };
    for (const name of ['XDG_DATA_HOME', 'XDG_CONFIG_HOME']) delete env[name];
    const child = spawn('linphonec', ['-c', join(folder, 'linphonerc'), '-d', '0'], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env,
    });
    const phone = new Linphone(child, folder);
    phone.#command('soundcard use files');
    phone.#command(`play ${join(folder, 'says.wav')}`);
    phone.#command(`record ${join(folder, 'heard.wav')}`);
    return phone;
  }

  dial(uri: string): void {
    this.#command(`call ${uri}`);
  }

  hangUp(): void {
    this.#command('terminate');
  }

  /** Presses one key of the call. */
  press(digit: string): void {
    this.#command(digit);
  }

  hold(): void {
    this.#command('pause');
  }

  resume(): void {
    this.#command('resume');
  }

  /** Ends the program; the last call is recorded whole then. */
  async quit(): Promise<void> {
    this.#command('quit');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 5_000);
    await this.#exited;
    clearTimeout(timer);
  }

  /** What the phone heard in the last call, once it has quit. */
  heard(): Pcm {
    return readWav(readFileSync(join(this.#folder, 'heard.wav')));
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) await this.quit();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #command(line: string): void {
    if (this.#process.stdin!.writable) this.#process.stdin!.write(`${line}\n`);
  }
}
