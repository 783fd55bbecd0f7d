import { X509Certificate } from 'node:crypto';
import { generateCertificate } from '../../dist/transport/certificate.js';
import * as messages from '../../dist/transport/dtls/handshake-messages.js';
import { PeerCertificate } from '../../dist/transport/dtls/peer-certificate.js';
import { DtlsFault } from '../../dist/transport/dtls/protocol.js';
import { check, refusesWith } from '../engine/target.mjs';

const random = Buffer.alloc(32, 7);
const { der } = generateCertificate('seed');
const signature = { scheme: 0x0403, signature: Buffer.alloc(70, 1) };
const parameters = messages.writeKeyParameters('x25519', random);
const offer = { renegotiationInfo: true, pointFormats: true };
const hello = { random, suite: 0xc02b, srtpProfile: 'AEAD_AES_128_GCM' };

const parsers = [
  messages.parseClientHello,
  messages.parseServerHello,
  messages.parseHelloVerifyRequest,
  messages.parseServerKeyExchange,
  messages.parseCertificateRequest,
  messages.parseClientKeyExchange,
  messages.parseCertificateVerify,
  (body) => {
    const certificate = messages.parseCertificate(body);
    if (certificate) new PeerCertificate(certificate);
  },
  (body) => {
    const certificate = new PeerCertificate(body);
    check(
      certificate.matches([`sha-256 ${new X509Certificate(body).fingerprint256}`]),
      'it has a fingerprint',
    );
    refusesWith([DtlsFault], () => certificate.verify(body, signature));
  },
];

const seeds = [
  messages.writeClientHello(random, Buffer.alloc(20, 3)),
  messages.writeServerHello(hello, offer),
  Buffer.from('feff0401020304', 'hex'),
  messages.writeServerKeyExchange(parameters, signature),
  messages.writeCertificateRequest(),
  messages.writeClientKeyExchange(random),
  messages.writeCertificateVerify(signature),
  messages.writeCertificate(der),
  der,
];

export default {
  about: "bodies of DTLS handshake messages, and the peer's certificate",
  seeds: () => seeds.map((body, kind) => Buffer.concat([Buffer.of(kind), body])),
  /** The first byte chooses the message. */
  run(input) {
    const parse = parsers[(input[0] ?? 0) % parsers.length];
    refusesWith([DtlsFault], () => parse(input.subarray(1)));
  },
};
