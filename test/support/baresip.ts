import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readWav, wavOf } from '../../src/cli/demo/wav.js';
import type { Pcm } from './tone.js';

const modules = '/usr/lib/baresip/modules';

export interface BaresipOptions {
  /** `sip:name@host:port`, with parameters after a semicolon. */
  account: string;
  /** What it says: 16-bit mono WAV bytes at `sampleRate`. */
  says: Pcm;
  codecs: string;
  transport?: 'udp' | 'tcp' | 'tls';
  /** SDES keys: `srtp` or `srtp-mand`. */
  mediaEncryption?: string;
  /** Certificate authorities for TLS (PEM file). */
  caFile?: string;
  /** Logs in at start. */
  registers?: boolean;
  answers?: boolean;
}

let nextControlPort = 21_000 + (process.pid % 4_000);

/** A real telephone: baresip in a process of its own, with sound from and to files. */
export class Baresip {
  log = '';
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #control: Socket;

  private constructor(process: ChildProcess, folder: string, control: Socket) {
    this.#process = process;
    this.#folder = folder;
    this.#control = control;
  }

  static async start(options: BaresipOptions): Promise<Baresip> {
    const folder = mkdtempSync(join(tmpdir(), 'offhook-baresip-'));
    const { says, account, codecs, transport = 'udp', mediaEncryption, caFile } = options;
    writeFileSync(join(folder, 'says.wav'), wavOf(says));
    mkdirSync(join(folder, 'heard'));
    const controlPort = nextControlPort++;
    const lines = [
      'sip_listen 127.0.0.1:0',
      ...(caFile ? [`sip_cafile ${caFile}`] : []),
      'sip_verify_server no',
      `audio_source aufile,${join(folder, 'says.wav')}`,
      'audio_player aufile,/dev/null',
      'audio_alert aufile,/dev/null',
      `ausrc_srate ${says.sampleRate}`,
      `auplay_srate ${says.sampleRate}`,
      'ausrc_channels 1',
      'auplay_channels 1',
      'rtp_ports 41000-44000',
      'jitter_buffer_delay 2-10',
      `snd_path ${join(folder, 'heard')}`,
      `ctrl_tcp_listen 127.0.0.1:${controlPort}`,
      `module_path ${modules}`,
      ...['stdio', 'g711', 'g722', 'opus', 'srtp', 'aufile', 'sndfile', 'ctrl_tcp'].map(
        (name) => `module ${name}.so`,
      ),
      'module_tmp account.so',
      'module_app menu.so',
    ];
    writeFileSync(join(folder, 'config'), `${lines.join('\n')}\n`);
    const params = [
      `regint=${options.registers ? 60 : 0}`,
      `audio_codecs=${codecs}`,
      ...(options.answers ? ['answermode=auto'] : []),
      ...(mediaEncryption ? [`mediaenc=${mediaEncryption}`] : []),
    ];
    const [address, ...more] = account.split(';');
    const uri = `<${address}${transport === 'udp' ? '' : `;transport=${transport}`}>`;
    writeFileSync(join(folder, 'accounts'), `${[uri, ...more, ...params].join(';')}\n`);
    writeFileSync(join(folder, 'contacts'), '');
    const child = spawn('baresip', ['-f', folder, '-s'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const control = await connectTo(controlPort);
    const phone = new Baresip(child, folder, control);
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        phone.log += chunk.toString('latin1');
      });
    }
    return phone;
  }

  dial(uri: string): void {
    this.#command('dial', uri);
  }

  hangUp(): void {
    this.#command('hangup', '');
  }

  /** Presses one key. */
  press(digit: string): void {
    this.#command('sndcode', digit);
  }

  hold(): void {
    this.#command('hold', '');
  }

  resume(): void {
    this.#command('resume', '');
  }

  /** What the phone heard, once its call is over. */
  heard(): Pcm {
    const folder = join(this.#folder, 'heard');
    const file = readdirSync(folder).find((name) => name.includes('dec'));
    if (!file) throw new Error(`baresip recorded nothing:\n${this.log.slice(-2_000)}`);
    return readWav(readFileSync(join(folder, file)));
  }

  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    this.#control.destroy();
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 2_000);
    await ended;
    clearTimeout(timer);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #command(command: string, params: string): void {
    const json = JSON.stringify({ command, params });
    this.#control.write(`${json.length}:${json},`);
  }
}

async function connectTo(port: number): Promise<Socket> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await new Promise<Socket>((resolve, reject) => {
        const socket = connect(port, '127.0.0.1', () => resolve(socket));
        socket.on('error', reject);
      });
    } catch (error) {
      if (attempt === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
