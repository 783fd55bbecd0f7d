// Certificates made on the spot with openssl: an authority, and servers that it vouches for.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

export interface Certificate {
  key: string;
  cert: string;
}

export class Authority {
  #folder = mkdtempSync(join(tmpdir(), 'offhook-ca-'));
  #serial = 1;
  readonly certPath = join(this.#folder, 'ca.pem');
  readonly #keyPath = join(this.#folder, 'ca.key');

  constructor() {
    this.#openssl(
      'req',
      '-x509',
      ...this.#newKey(this.#keyPath),
      '-subj',
      '/CN=Test authority',
      '-out',
      this.certPath,
    );
  }

  get cert(): string {
    return readFileSync(this.certPath, 'utf8');
  }

  /** A certificate for `host`, valid for `days` from now; a negative number makes one that has expired. */
  issue(host: string, days = 2): Certificate {
    const name = join(this.#folder, `server-${this.#serial}`);
    writeFileSync(`${name}.ext`, `subjectAltName=DNS:${host}`);
    this.#openssl('req', ...this.#newKey(`${name}.key`), '-subj', `/CN=${host}`, '-out', `${name}.csr`);
    this.#openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      this.certPath,
      '-CAkey',
      this.#keyPath,
      '-set_serial',
      String(this.#serial++),
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.pem`,
      '-days',
      String(days),
    );
    return { key: readFileSync(`${name}.key`, 'utf8'), cert: readFileSync(`${name}.pem`, 'utf8') };
  }

  /** A certificate that vouches for itself. */
  selfSigned(host: string): Certificate {
    const name = join(this.#folder, 'self');
    this.#openssl(
      'req',
      '-x509',
      ...this.#newKey(`${name}.key`),
      '-subj',
      `/CN=${host}`,
      '-addext',
      `subjectAltName=DNS:${host}`,
      '-out',
      `${name}.pem`,
    );
    return { key: readFileSync(`${name}.key`, 'utf8'), cert: readFileSync(`${name}.pem`, 'utf8') };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true });
  }

  #newKey(path: string): string[] {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', path];
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: 'ignore' });
  }
}
