import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OffhookError } from '../../../src/errors/index.js';
import { type Certificate, generateCertificate } from '../../../src/transport/certificate.js';
import { DtlsConnection, type DtlsResult } from '../../../src/transport/dtls/index.js';

const waitMs = 15_000;
const exportLabel = 'EXTRACTOR-dtls_srtp';
const exportBytes = 60;

export const certificateKinds = {
  ecdsa: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['-newkey', 'rsa:2048'],
} as const;
export type CertificateKind = keyof typeof certificateKinds;

/** A connection of ours on a UDP socket, with `openssl s_client` or `s_server` at the other end. */
export class OpensslPeer {
  readonly role: 'client' | 'server';
  connection!: DtlsConnection;
  readonly received: string[] = [];
  result: DtlsResult | undefined;
  closed: { error: OffhookError | undefined } | undefined;
  certificate: Certificate = generateCertificate('offhook');
  /** What openssl printed. */
  output = '';
  #folder = mkdtempSync(join(tmpdir(), 'offhook-dtls-'));
  #socket: Socket = createSocket('udp4');
  #process: ChildProcessWithoutNullStreams | undefined;
  #peerPort = 0;
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void)[] = [];

  /** @param role ours */
  constructor(role: 'client' | 'server') {
    this.role = role;
  }

  /** @param options further arguments for openssl */
  async start(kind: CertificateKind, options: string[] = [], fingerprint?: string): Promise<this> {
    const peerFingerprint = this.#makeCertificate(kind);
    this.connection = new DtlsConnection({
      role: this.role,
      certificate: this.certificate,
      remoteFingerprints: [fingerprint ?? peerFingerprint],
      onDatagram: (datagram) => this.#socket.send(datagram, this.#peerPort, '127.0.0.1'),
      onConnected: (result) => {
        this.result = result;
      },
      onData: (data) => this.received.push(data.toString()),
      onClosed: (error) => {
        this.closed = { error };
      },
    });
    this.#socket.on('message', (datagram, { port }) => {
      this.#peerPort = port;
      this.connection.handleDatagram(datagram, performance.now());
      this.#changed();
    });
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    const common = [
      ...[
        '-dtls1_2',
        '-use_srtp',
        'SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80',
        '-keymatexport',
        exportLabel,
      ],
      ...['-keymatexportlen', String(exportBytes), '-cert', this.#path('cert'), '-key', this.#path('key')],
      ...options,
    ];
    if (this.role === 'client') {
      this.#peerPort = await freePort();
      this.#run(['s_server', '-accept', `127.0.0.1:${this.#peerPort}`, '-Verify', '1', ...common]);
      await this.until(() => this.output.includes('ACCEPT'));
    } else {
      this.#run(['s_client', '-connect', `127.0.0.1:${this.#socket.address().port}`, ...common]);
    }
    this.connection.start(performance.now());
    this.#changed();
    return this;
  }

  /** Waits until `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    const endMs = performance.now() + waitMs;
    while (!condition()) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new Error(`Not reached within ${waitMs} ms; openssl printed:\n${this.output}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async connected(): Promise<void> {
    await this.until(() => this.connection.isConnected && /Keying material: [0-9A-F]+/.test(this.output));
  }

  /** What openssl exported, as hex. */
  get exported(): string {
    return /Keying material: ([0-9A-F]+)/.exec(this.output)![1]!.toLowerCase();
  }

  get ownExport(): string {
    return this.connection.exportKeyingMaterial(exportLabel, exportBytes)!.toString('hex');
  }

  /** A line for openssl, which is either data to send or a command. */
  type(line: string): void {
    this.#process!.stdin.write(`${line}\n`);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    const running = this.#process;
    if (running && running.exitCode === null && running.signalCode === null) {
      running.kill('SIGKILL');
      await once(running, 'exit');
    }
    this.#socket.close();
    rmSync(this.#folder, { recursive: true });
  }

  #path(name: string): string {
    return join(this.#folder, `${name}.pem`);
  }

  #makeCertificate(kind: CertificateKind): string {
    const output = ['-keyout', this.#path('key'), '-out', this.#path('cert')];
    const openssl = (args: string[]) => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' });
    openssl(['req', '-x509', '-nodes', '-subj', '/CN=peer', ...certificateKinds[kind], ...output]);
    const printed = openssl(['x509', '-in', this.#path('cert'), '-noout', '-fingerprint', '-sha256']);
    return `sha-256 ${printed.trim().split('=')[1]}`;
  }

  #run(args: string[]): void {
    this.#process = spawn('openssl', args);
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
        this.#changed();
      });
    }
    this.#process.stdin.on('error', () => {});
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
    clearTimeout(this.#timer);
    const next = this.connection?.nextTimeoutMs;
    if (next === undefined) return;
    this.#timer = setTimeout(() => {
      this.connection.handleTimeout(performance.now());
      this.#changed();
    }, next - performance.now());
  }
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}
