import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const modules = '/usr/lib/x86_64-linux-gnu/kamailio/modules/';

const common = (port: number, loaded: readonly string[]) => `#!KAMAILIO
debug=2
log_stderror=yes
fork=no
children=1
auto_aliases=no
listen=udp:127.0.0.1:${port}
mpath="${modules}"
${['kex', 'tm', 'sl', 'rr', 'pv', 'maxfwd', 'textops', 'siputils', 'xlog', ...loaded].map((name) => `loadmodule "${name}.so"`).join('\n')}
`;

const withinDialogs = `
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483","Too Many Hops"); exit; }
  if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
  if (has_totag()) {
    if (loose_route()) { xlog("L_ALERT", "routed $rm\n"); t_relay(); exit; }
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    sl_send_reply("404","Not here");
    exit;
  }
  t_check_trans();
`;

/** A proxy that stays on the way of every call and sends it on to `target`. */
const proxyTo = (target: number) => (port: number) =>
  `${common(port, [])}
request_route {${withinDialogs}
  record_route();
  $du = "sip:127.0.0.1:${target}";
  t_relay();
}
`;

export const provider = { domain: 'provider.test', password: 'lovelace' };

/** A provider: whoever has the password may register and call, and others may call those that have. */
const providerWith = (algorithm: string) => (port: number) =>
  `${common(port, ['auth', 'usrloc', 'registrar'])}
modparam("auth", "algorithm", "${algorithm}")
modparam("usrloc", "db_mode", 0)
request_route {${withinDialogs}
  if (is_method("REGISTER")) {
    if (!pv_www_authenticate("${provider.domain}", "${provider.password}", "0")) {
      www_challenge("${provider.domain}", "0");
      exit;
    }
    xlog("L_ALERT", "registers $au $hdr(Expires)\n");
    save("location");
    exit;
  }
  if (is_method("OPTIONS")) { sl_send_reply("200","OK"); exit; }
  if (is_method("INVITE") && $fU == "office") {
    if (!pv_proxy_authenticate("${provider.domain}", "${provider.password}", "0")) {
      proxy_challenge("${provider.domain}", "0");
      exit;
    }
    xlog("L_ALERT", "calls $au\n");
    consume_credentials();
  }
  record_route();
  if (!lookup("location")) { sl_send_reply("404","Not registered"); exit; }
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

  static start(target: number): Promise<Kamailio> {
    return Kamailio.#start(proxyTo(target));
  }

  static startProvider(algorithm: 'MD5' | 'SHA-256'): Promise<Kamailio> {
    return Kamailio.#start(providerWith(algorithm));
  }

  static async #start(configuration: (port: number) => string): Promise<Kamailio> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'offhook-kamailio-'));
    const file = join(folder, 'kamailio.cfg');
    writeFileSync(file, configuration(port));
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
