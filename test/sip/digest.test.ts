import { describe, expect, test } from 'vitest';
import {
  Authenticator,
  answerChallenge,
  digestResponse,
  formatCredentials,
  parseChallenge,
  parseCredentials,
} from '../../src/sip/auth/index.js';
import { type Headers, parseMessage, type SipRequest } from '../../src/sip/message/index.js';

describe('digest responses', () => {
  // RFC 7616, section 3.9.1.
  const base = {
    username: 'Mufasa',
    realm: 'http-auth@example.org',
    nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
    uri: '/dir/index.html',
    qop: 'auth',
    nonceCount: '00000001',
    cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
  };

  test.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ] as const)('with %s are those of RFC 7616', (algorithm, response) => {
    expect(digestResponse({ ...base, algorithm }, 'GET', 'Circle of Life')).toBe(response);
  });

  test('without qop are those of RFC 2617', () => {
    const { username, realm, nonce, uri } = base;
    expect(digestResponse({ username, realm, nonce, uri, algorithm: 'MD5' }, 'GET', 'x')).toMatch(
      /^[0-9a-f]{32}$/,
    );
  });
});

function request(authorization?: string, method = 'REGISTER'): SipRequest {
  const text = [
    `${method} sip:ada@offhook.test SIP/2.0`,
    'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1',
    'From: <sip:ada@offhook.test>;tag=1',
    'To: <sip:ada@offhook.test>',
    'Call-ID: 1',
    `CSeq: 1 ${method}`,
    ...(authorization ? [`Authorization: ${authorization}`] : []),
    '',
    '',
  ].join('\r\n');
  const parsed = parseMessage(Buffer.from(text));
  if (parsed.kind !== 'message' || parsed.message.kind !== 'request') throw new Error('not a request');
  return parsed.message;
}

describe('an authenticator', () => {
  const here = '192.0.2.1';
  let nowMs = 0;
  const authenticator = new Authenticator('offhook', () => nowMs);
  const passwordOf = (name: string) => (name === 'ada' ? 'lovelace' : undefined);
  const authorize = (headers: Headers, password: string, index = 0, count = 1, method = 'REGISTER') => {
    const challenge = parseChallenge(headers.getAll('WWW-Authenticate')[index]!)!;
    return formatCredentials(
      answerChallenge(
        challenge,
        { username: 'ada', password },
        { method, uri: 'sip:ada@offhook.test', cnonce: 'c', count },
      ),
    );
  };

  test.each([
    ['MD5', 0],
    ['SHA-256', 1],
  ])('takes the right password with %s', (_name, index) => {
    const credentials = authorize(authenticator.challenge(false, here), 'lovelace', index);
    expect(authenticator.check(request(credentials), here, passwordOf)).toEqual({
      kind: 'ok',
      username: 'ada',
    });
  });

  test('asks whoever says nothing', () => {
    expect(authenticator.check(request(), here, passwordOf)).toEqual({ kind: 'challenge', stale: false });
  });

  test('refuses a wrong password, and a user that it does not know', () => {
    const wrong = authorize(authenticator.challenge(false, here), 'babbage');
    expect(authenticator.check(request(wrong), here, passwordOf)).toEqual({ kind: 'wrong', username: 'ada' });
    expect(authenticator.check(request(wrong), here, () => undefined)).toEqual({
      kind: 'wrong',
      username: 'ada',
    });
  });

  test('does not take the same credentials twice, nor for another method', () => {
    const credentials = authorize(authenticator.challenge(false, here), 'lovelace');
    expect(authenticator.check(request(credentials, 'INVITE'), here, passwordOf)).toMatchObject({
      kind: 'wrong',
    });
    expect(authenticator.check(request(credentials), here, passwordOf)).toMatchObject({ kind: 'ok' });
    expect(authenticator.check(request(credentials), here, passwordOf)).toEqual({
      kind: 'challenge',
      stale: true,
    });
  });

  test('does not hold wrong credentials against an address that another was asked at', () => {
    const wrong = authorize(authenticator.challenge(false, here), 'babbage');
    expect(authenticator.check(request(wrong), '192.0.2.2', passwordOf)).toEqual({
      kind: 'challenge',
      stale: false,
    });
  });

  test('calls a nonce stale after five minutes, and one that it did not make invalid', () => {
    const headers = authenticator.challenge(false, here);
    nowMs += 6 * 60_000;
    expect(authenticator.check(request(authorize(headers, 'lovelace')), here, passwordOf)).toEqual({
      kind: 'challenge',
      stale: true,
    });
    const forged = authorize(headers, 'lovelace').replace(/nonce="[^"]*"/, 'nonce="forged"');
    expect(authenticator.check(request(forged), here, passwordOf)).toEqual({
      kind: 'challenge',
      stale: false,
    });
  });
});

describe('credentials and challenges', () => {
  test.each(['', 'Basic abc', 'Digest', 'Digest username="a', 'Digest realm="a", realm="b"', 'Digest realm'])(
    '%j are none',
    (text) => {
      expect(parseCredentials(text)).toBeUndefined();
      expect(parseChallenge(text)).toBeUndefined();
    },
  );

  test('a challenge of an unknown algorithm, or for integrity alone, cannot be met', () => {
    expect(parseChallenge('Digest realm="a", nonce="b", algorithm=SHA-512-256')).toBeUndefined();
    expect(parseChallenge('Digest realm="a", nonce="b", qop="auth-int"')).toBeUndefined();
  });
});
