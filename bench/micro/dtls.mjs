// node bench/micro/dtls.mjs: what DTLS costs, in microseconds of CPU: one handshake in each role, and one record
// of application data. Beside each stands the same cryptography without the protocol, in the same run: read the ratios.
import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { generateCertificate } from '../../dist/transport/certificate.js';
import { DtlsConnection } from '../../dist/transport/dtls/index.js';
import { measure, timed } from './measure.mjs';

const handshakesPerRound = 100;
const recordsPerRound = 10_000;
const recordsAtOnce = 100;

const certificates = { client: generateCertificate('client'), server: generateCertificate('server') };

/** Connects a pair; `spentMs` gets the time in each role. */
function connect(spentMs = { client: 0, server: 0 }) {
  const queue = [];
  const sides = {};
  const peer = { client: 'server', server: 'client' };
  let received = 0;
  for (const role of ['server', 'client']) {
    sides[role] = new DtlsConnection({
      role,
      certificate: certificates[role],
      remoteFingerprints: [certificates[peer[role]].fingerprint],
      onDatagram: (datagram) => queue.push({ to: peer[role], datagram }),
      onConnected() {},
      onData: () => {
        received++;
      },
      onClosed(error) {
        throw error;
      },
    });
    spentMs[role] += timed(() => sides[role].start(0));
  }
  const deliver = () => {
    for (const { to, datagram } of queue.splice(0)) {
      spentMs[to] += timed(() => sides[to].handleDatagram(datagram, 0));
    }
  };
  while (queue.length > 0) deliver();
  return { ...sides, queue, received: () => received };
}

const handshakeIn = (role) =>
  measure(handshakesPerRound, (count) => {
    const spentMs = { client: 0, server: 0 };
    for (let index = 0; index < count; index++) connect(spentMs);
    return spentMs[role];
  });

/** What one side cannot do without: a certificate to read, a key to make, a secret, a signature, one to verify. */
function handshakePrimitives() {
  const { der, privateKey } = certificates.client;
  const content = Buffer.alloc(800, 1);
  const signature = sign('sha256', content, privateKey);
  const peer = generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'der' });
  return measure(handshakesPerRound, (count) =>
    timed(() => {
      for (let index = 0; index < count; index++) {
        const { publicKey } = new X509Certificate(der);
        const own = generateKeyPairSync('x25519');
        const peerKey = createPublicKey({ key: peer, format: 'der', type: 'spki' });
        diffieHellman({ privateKey: own.privateKey, publicKey: peerKey });
        sign('sha256', content, privateKey);
        verify('sha256', content, publicKey, signature);
      }
    }),
  );
}

/** Sealing and opening records of `bytes`, some at a time: a packet that a socket hands over is in the cache, too. */
function records(bytes) {
  const pair = connect();
  const data = Buffer.alloc(bytes, 1);
  const sealSome = () => {
    pair.queue.length = 0;
    for (let index = 0; index < recordsAtOnce; index++) pair.client.send(data);
  };
  const seal = measure(recordsPerRound, (count) =>
    timed(() => {
      for (let done = 0; done < count; done += recordsAtOnce) sealSome();
    }),
  );
  let opened = 0;
  const open = measure(recordsPerRound, (count) => {
    opened += count;
    let spentMs = 0;
    for (let done = 0; done < count; done += recordsAtOnce) {
      sealSome();
      spentMs += timed(() => {
        for (const { datagram } of pair.queue) pair.server.handleDatagram(datagram, 0);
      });
    }
    return spentMs;
  });
  if (pair.received() !== opened) throw new Error('records were lost');
  return { seal, open };
}

/** AES-128-GCM of the same bytes, as Node offers it. */
function aesGcm(bytes) {
  const key = Buffer.alloc(16, 1);
  const nonce = Buffer.alloc(12, 2);
  const additional = Buffer.alloc(13, 3);
  const data = Buffer.alloc(bytes, 1);
  const encrypt = () => {
    const cipher = createCipheriv('aes-128-gcm', key, nonce);
    cipher.setAAD(additional);
    const content = cipher.update(data);
    cipher.final();
    return { content, tag: cipher.getAuthTag() };
  };
  const { content, tag } = encrypt();
  const seal = measure(recordsPerRound, (count) =>
    timed(() => {
      for (let index = 0; index < count; index++) encrypt();
    }),
  );
  const open = measure(recordsPerRound, (count) =>
    timed(() => {
      for (let index = 0; index < count; index++) {
        const decipher = createDecipheriv('aes-128-gcm', key, nonce);
        decipher.setAAD(additional);
        decipher.setAuthTag(tag);
        decipher.update(content);
        decipher.final();
      }
    }),
  );
  return { seal, open };
}

const rows = [];
const add = (what, us, referenceUs) =>
  rows.push({
    what,
    µs: us.toFixed(1),
    'cryptography alone, µs': referenceUs.toFixed(1),
    ratio: (us / referenceUs).toFixed(2),
  });

const primitives = handshakePrimitives();
add('handshake, client', handshakeIn('client'), primitives);
add('handshake, server', handshakeIn('server'), primitives);
for (const bytes of [100, 1_100]) {
  const reference = aesGcm(bytes);
  const own = records(bytes);
  add(`record of ${bytes} bytes, seal`, own.seal, reference.seal);
  add(`record of ${bytes} bytes, open`, own.open, reference.open);
}
console.table(rows);
