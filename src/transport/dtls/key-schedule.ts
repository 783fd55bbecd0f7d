import { createHash, createHmac } from 'node:crypto';
import { type SrtpMasterKey, type SrtpProfile, srtpProfiles } from '../srtp/index.js';
import type { RecordKeys } from './record-cipher.js';

export type Role = 'client' | 'server';

const masterSecretBytes = 48;
const verifyDataBytes = 12;
const recordKeyBytes = 16;
const recordSaltBytes = 4;

/** P_SHA256 of RFC 5246, section 5. */
function prf(secret: Buffer, label: string, seed: Buffer, length: number): Buffer {
  const labelAndSeed = Buffer.concat([Buffer.from(label, 'latin1'), seed]);
  const blocks: Buffer[] = [];
  let chain = labelAndSeed;
  for (let bytes = 0; bytes < length; bytes += 32) {
    chain = createHmac('sha256', secret).update(chain).digest();
    blocks.push(createHmac('sha256', secret).update(chain).update(labelAndSeed).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

export function sha256(messages: readonly Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const message of messages) hash.update(message);
  return hash.digest();
}

/** The secrets of one handshake. */
export class KeySchedule {
  #masterSecret: Buffer;
  #clientRandom: Buffer;
  #serverRandom: Buffer;

  /**
   * @param messages the handshake up to and including the ClientKeyExchange, which the extended master secret is bound to
   * (RFC 7627)
   */
  constructor(
    premasterSecret: Buffer,
    messages: readonly Buffer[],
    clientRandom: Buffer,
    serverRandom: Buffer,
  ) {
    this.#masterSecret = prf(premasterSecret, 'extended master secret', sha256(messages), masterSecretBytes);
    this.#clientRandom = clientRandom;
    this.#serverRandom = serverRandom;
  }

  recordKeys(role: Role): RecordKeys {
    const seed = Buffer.concat([this.#serverRandom, this.#clientRandom]);
    const block = prf(this.#masterSecret, 'key expansion', seed, 2 * (recordKeyBytes + recordSaltBytes));
    const client = { key: block.subarray(0, 16), salt: block.subarray(32, 36) };
    const server = { key: block.subarray(16, 32), salt: block.subarray(36, 40) };
    const [own, peer] = role === 'client' ? [client, server] : [server, client];
    return { writeKey: own.key, writeSalt: own.salt, readKey: peer.key, readSalt: peer.salt };
  }

  /** What the Finished message of `sender` must hold after `messages`. */
  verifyData(sender: Role, messages: readonly Buffer[]): Buffer {
    return prf(this.#masterSecret, `${sender} finished`, sha256(messages), verifyDataBytes);
  }

  /** RFC 5705, without a context. */
  exportKeyingMaterial(label: string, length: number): Buffer {
    return prf(this.#masterSecret, label, Buffer.concat([this.#clientRandom, this.#serverRandom]), length);
  }

  /** RFC 5764, section 4.2: what we encrypt with, and what the peer does. */
  srtpKeys(profile: SrtpProfile, role: Role): { local: SrtpMasterKey; remote: SrtpMasterKey } {
    const { keyBytes, saltBytes } = srtpProfiles[profile];
    const material = this.exportKeyingMaterial('EXTRACTOR-dtls_srtp', 2 * (keyBytes + saltBytes));
    const salts = material.subarray(2 * keyBytes);
    const client = { key: material.subarray(0, keyBytes), salt: salts.subarray(0, saltBytes) };
    const server = { key: material.subarray(keyBytes, 2 * keyBytes), salt: salts.subarray(saltBytes) };
    return role === 'client' ? { local: client, remote: server } : { local: server, remote: client };
  }
}
