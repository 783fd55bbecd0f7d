import { randomBytes } from 'node:crypto';
import { acceptFinished, changeCipherSpec, type Flight, type Handshake, type Steps } from './handshake.js';
import {
  parseCertificate,
  parseCertificateRequest,
  parseHelloVerifyRequest,
  parseServerHello,
  parseServerKeyExchange,
  randomBytesLength,
  writeCertificate,
  writeCertificateVerify,
  writeClientHello,
  writeClientKeyExchange,
} from './handshake-messages.js';
import { KeyAgreement } from './key-agreement.js';
import { KeySchedule } from './key-schedule.js';
import { PeerCertificate, signWith } from './peer-certificate.js';
import { alert, DtlsFault, handshakeType, signatureScheme } from './protocol.js';

/**
 * Flights 1 and 3: ClientHello, in flight 3 with the server's cookie and the random value of flight 1.
 *
 * A server on pion that has sent a HelloVerifyRequest ignores the beginning of a ClientHello that it has, but answers a
 * later part of it with another HelloVerifyRequest; otherwise nothing would make up for the loss of the first one. Other
 * servers read no ClientHello in parts before they have sent a cookie, so it goes out whole in between.
 */
export function clientHelloFlight(handshake: Handshake): Flight {
  if (handshake.clientRandom.length === 0) handshake.clientRandom = randomBytes(randomBytesLength);
  const hello = writeClientHello(handshake.clientRandom, handshake.cookie);
  return { messages: [handshake.write(handshakeType.clientHello, hello)], isSplitWhenRepeated: true };
}

/** Flight 5: Certificate and CertificateVerify where the server wants them, ClientKeyExchange, ChangeCipherSpec, Finished. */
function keyFlight(handshake: Handshake): Flight {
  const { certificate, certificateRequested, clientRandom, serverRandom, transcript } = handshake;
  const messages = certificateRequested
    ? [handshake.write(handshakeType.certificate, writeCertificate(certificate.der))]
    : [];
  const { publicKey } = handshake.keyAgreement!;
  messages.push(handshake.write(handshakeType.clientKeyExchange, writeClientKeyExchange(publicKey)));
  const keys = new KeySchedule(handshake.premasterSecret, transcript, clientRandom, serverRandom);
  handshake.keys = keys;
  if (certificateRequested) {
    const signature = signWith(certificate.privateKey, Buffer.concat(transcript));
    messages.push(handshake.write(handshakeType.certificateVerify, writeCertificateVerify(signature)));
  }
  const finished = handshake.write(handshakeType.finished, keys.verifyData('client', transcript), 1);
  messages.push(changeCipherSpec, finished);
  return { messages };
}

/** What a client expects of a server (RFC 6347, figure 1). */
export const clientSteps: Steps = {
  hello: {
    [handshakeType.helloVerifyRequest]: {
      accept: (handshake, { body }) => {
        const cookie = parseHelloVerifyRequest(body);
        if (handshake.cookie.length > 0) {
          throw new DtlsFault(alert.unexpectedMessage, 'the peer asks for a cookie twice');
        }
        handshake.cookie = Buffer.from(cookie);
        handshake.transcript = [];
      },
      isOutsideTranscript: true,
      answer: clientHelloFlight,
      next: 'hello',
    },
    [handshakeType.serverHello]: {
      accept: (handshake, { body }) => {
        const { random, suite, srtpProfile } = parseServerHello(body);
        handshake.serverRandom = Buffer.from(random);
        handshake.suite = suite;
        handshake.srtpProfile = srtpProfile;
      },
      next: 'certificate',
    },
  },
  certificate: {
    [handshakeType.certificate]: {
      accept: (handshake, { body }) => {
        const der = parseCertificate(body);
        if (der === undefined) throw new DtlsFault(alert.badCertificate, 'the peer has no certificate');
        const certificate = new PeerCertificate(Buffer.from(der));
        if (!certificate.fits(handshake.suite)) {
          throw new DtlsFault(
            alert.unsupportedCertificate,
            "the peer's certificate does not fit the cipher suite",
          );
        }
        handshake.checkCertificate(certificate);
        handshake.peerCertificate = certificate;
      },
      next: 'keyExchange',
    },
  },
  keyExchange: {
    [handshakeType.serverKeyExchange]: {
      accept: (handshake, { body }) => {
        const { group, publicKey, parameters, signature } = parseServerKeyExchange(body);
        const { clientRandom, serverRandom } = handshake;
        handshake.peerCertificate!.verify(Buffer.concat([clientRandom, serverRandom, parameters]), signature);
        const keyAgreement = new KeyAgreement(group);
        handshake.premasterSecret = keyAgreement.sharedSecret(publicKey);
        handshake.keyAgreement = keyAgreement;
      },
      next: 'helloDone',
    },
  },
  helloDone: {
    [handshakeType.certificateRequest]: {
      accept: (handshake, { body }) => {
        if (!parseCertificateRequest(body).includes(signatureScheme.ecdsaSecp256r1Sha256)) {
          throw new DtlsFault(alert.handshakeFailure, 'the peer accepts no ECDSA certificate on P-256');
        }
        if (handshake.certificateRequested) {
          throw new DtlsFault(alert.unexpectedMessage, 'the peer asks for a certificate twice');
        }
        handshake.certificateRequested = true;
      },
      next: 'helloDone',
    },
    [handshakeType.serverHelloDone]: {
      accept: (_handshake, { body }) => {
        if (body.length > 0)
          throw new DtlsFault(alert.decodeError, "the peer's ServerHelloDone is malformed");
      },
      answer: keyFlight,
      next: 'finished',
    },
  },
  finished: { [handshakeType.finished]: { accept: acceptFinished, next: 'done' } },
  certificateVerify: {},
  done: {},
};
