import { randomBytes } from 'node:crypto';
import type { SrtpProfile } from '../srtp/index.js';
import { acceptFinished, changeCipherSpec, type Flight, type Handshake, type Steps } from './handshake.js';
import {
  type ClientHello,
  noExtendedMasterSecret,
  parseCertificate,
  parseCertificateVerify,
  parseClientHello,
  parseClientKeyExchange,
  randomBytesLength,
  writeCertificate,
  writeCertificateRequest,
  writeKeyParameters,
  writeServerHello,
  writeServerKeyExchange,
} from './handshake-messages.js';
import { KeyAgreement, type NamedGroup, namedGroups } from './key-agreement.js';
import { KeySchedule } from './key-schedule.js';
import { PeerCertificate, signWith } from './peer-certificate.js';
import {
  alert,
  cipherSuite,
  DtlsFault,
  handshakeType,
  negotiatedSrtpProfiles,
  signatureScheme,
} from './protocol.js';

/** What both sides have in common, by our order of preference. Our own certificate is ECDSA on P-256. */
function choose(hello: ClientHello): { group: NamedGroup; srtpProfile: SrtpProfile | undefined } {
  if (!hello.extendedMasterSecret) throw noExtendedMasterSecret();
  const group = namedGroups.find((name) => hello.groups.includes(name));
  if (
    group === undefined ||
    !hello.suites.includes(cipherSuite.ecdheEcdsaAes128Gcm) ||
    !hello.schemes.includes(signatureScheme.ecdsaSecp256r1Sha256)
  ) {
    throw new DtlsFault(
      alert.handshakeFailure,
      'the peer shares no cipher suite, group or signature scheme with us',
      {
        advice: 'The other side must offer TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 with X25519 or P-256.',
      },
    );
  }
  return { group, srtpProfile: negotiatedSrtpProfiles.find((name) => hello.srtpProfiles.includes(name)) };
}

/**
 * Flight 4: ServerHello, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone. There is no cookie before
 * it (flight 2): ICE has shown that the peer is where its packets come from.
 */
function serverHelloFlight(handshake: Handshake, hello: ClientHello): Flight {
  const { clientRandom, certificate, srtpProfile, keyAgreement } = handshake;
  const random = randomBytes(randomBytesLength);
  handshake.serverRandom = random;
  const suite = cipherSuite.ecdheEcdsaAes128Gcm;
  handshake.suite = suite;
  const parameters = writeKeyParameters(keyAgreement!.group, keyAgreement!.publicKey);
  const signature = signWith(certificate.privateKey, Buffer.concat([clientRandom, random, parameters]));
  return {
    messages: [
      handshake.write(handshakeType.serverHello, writeServerHello({ random, suite, srtpProfile }, hello)),
      handshake.write(handshakeType.certificate, writeCertificate(certificate.der)),
      handshake.write(handshakeType.serverKeyExchange, writeServerKeyExchange(parameters, signature)),
      handshake.write(handshakeType.certificateRequest, writeCertificateRequest()),
      handshake.write(handshakeType.serverHelloDone, Buffer.alloc(0)),
    ],
  };
}

/** Flight 6: ChangeCipherSpec, Finished. */
function finishedFlight(handshake: Handshake): Flight {
  const verifyData = handshake.keys!.verifyData('server', handshake.transcript);
  return {
    messages: [changeCipherSpec, handshake.write(handshakeType.finished, verifyData, 1)],
    isLast: true,
  };
}

/** What a server expects of a client (RFC 6347, figure 1). */
export const serverSteps: Steps = {
  hello: {
    [handshakeType.clientHello]: {
      accept: (handshake, { body }) => {
        const hello = parseClientHello(body);
        const { group, srtpProfile } = choose(hello);
        handshake.keyAgreement = new KeyAgreement(group);
        handshake.clientRandom = Buffer.from(hello.random);
        handshake.srtpProfile = srtpProfile;
        handshake.clientHello = hello;
      },
      answer: (handshake) => serverHelloFlight(handshake, handshake.clientHello!),
      next: 'certificate',
    },
  },
  certificate: {
    [handshakeType.certificate]: {
      accept: (handshake, { body }) => {
        const der = parseCertificate(body);
        if (der === undefined) throw new DtlsFault(alert.handshakeFailure, 'the peer has no certificate');
        const certificate = new PeerCertificate(Buffer.from(der));
        handshake.checkCertificate(certificate);
        handshake.peerCertificate = certificate;
      },
      next: 'keyExchange',
    },
  },
  keyExchange: {
    [handshakeType.clientKeyExchange]: {
      accept: (handshake, { body, raw }) => {
        const { clientRandom, serverRandom, transcript } = handshake;
        const secret = handshake.keyAgreement!.sharedSecret(parseClientKeyExchange(body));
        handshake.keys = new KeySchedule(secret, [...transcript, raw], clientRandom, serverRandom);
      },
      next: 'certificateVerify',
    },
  },
  certificateVerify: {
    [handshakeType.certificateVerify]: {
      accept: (handshake, { body }) =>
        handshake.peerCertificate!.verify(Buffer.concat(handshake.transcript), parseCertificateVerify(body)),
      next: 'finished',
    },
  },
  finished: { [handshakeType.finished]: { accept: acceptFinished, answer: finishedFlight, next: 'done' } },
  helloDone: {},
  done: {},
};
