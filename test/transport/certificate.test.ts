import { X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import { generateCertificate } from '../../src/transport/index.js';

test('a certificate is self-signed, valid now, and known by its fingerprint', () => {
  const nowMs = Date.UTC(2026, 1, 3, 4, 5, 6);
  const { der, privateKey, fingerprint } = generateCertificate('room server', nowMs);
  const certificate = new X509Certificate(der);
  expect(certificate.subject).toBe('CN=room server');
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(fingerprint).toBe(`sha-256 ${certificate.fingerprint256}`);
  expect(Date.parse(certificate.validFrom)).toBe(nowMs - 24 * 3600 * 1000);
  expect(Date.parse(certificate.validTo)).toBeGreaterThan(nowMs);
  expect(certificate.checkPrivateKey(privateKey)).toBe(true);
});

test('no two certificates are the same', () => {
  expect(generateCertificate('a').fingerprint).not.toBe(generateCertificate('a').fingerprint);
});
