import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A proxy that stays on the way of every call and sends it on to `target`. */
const configuration = (port: number, target: number, modules: string) => `#!KAMAILIO
debug=2
log_stderror=yes
fork=no
children=1
auto_aliases=no
listen=udp:127.0.0.1:${port}
mpath="${modules}"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483","Too Many Hops"); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route()) { t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    sl_send_reply("404","Not here");
    exit;
  }
  t_check_trans();
  record_route();
  $du = "sip:127.0.0.1:${target}";
  t_relay();
}
`;

/** Kamailio in a process of its own. */
export class Kamailio {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: string;
  log = '';

  private constructor(port: number, process: ChildProcess, folder: string) {
    this.port = port;
    this.#process = process;
    this.#folder = folder;
    process.stderr!.on('data', (chunk: Buffer) => {
      this.log += chunk.toString();
    });
  }

  static async start(target: number): Promise<Kamailio> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'offhook-kamailio-'));
    const file = join(folder, 'kamailio.cfg');
    writeFileSync(file, configuration(port, target, '/usr/lib/x86_64-linux-gnu/kamailio/modules/'));
    const child = spawn('kamailio', ['-f', file, '-DD', '-E', '-m', '32', '-M', '4', '-Y', folder], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return new Kamailio(port, child, folder);
  }

  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#process.once('exit', () => resolve()));
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 2_000);
    await ended;
    clearTimeout(timer);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  return new Promise((resolve) =>
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    }),
  );
}
