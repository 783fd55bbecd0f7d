import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { describeError, OffhookError, outsideText, withoutTokens } from '../../src/errors/index.js';
import { limits } from '../../src/limits.js';
import { Timeline } from '../../src/timeline/index.js';

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const header = part({ alg: 'HS256' });
const payload = part({ iss: 'devkey', sub: 'ada', video: { room: 'r', roomJoin: true } });
const token = `${header}.${payload}.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg`;

describe('text of somebody else', () => {
  test.each([
    ['in the middle of a sentence', `invalid token: ${token}, error: expired`],
    ['in a query', `GET /rtc?access_token=${token}&protocol=16 failed`],
    ['in JSON', JSON.stringify({ error: 'bad token', access_token: token })],
    ['in a header', `Authorization: Bearer ${token}`],
    ['in percent encoding', encodeURIComponent(`token ${token}`).replaceAll('.', '%2E')],
    ['cut off in its second part', `invalid token: ${token.slice(0, header.length + 20)}`],
    ['cut off in its first part', `invalid token: ${token.slice(0, 12)}`],
  ])('shows no token %s', (_, text) => {
    const shown = outsideText(text);
    expect(shown).not.toMatch(/eyJ/);
    expect(shown).not.toContain(payload.slice(0, 10));
    expect(shown).not.toContain('c2lnbmF0');
    expect(shown).toContain('…');
  });

  test('does not show a secret that only the caller knows', () => {
    expect(outsideText('who is hunter2-hunter2?', ['hunter2-hunter2'])).toBe('who is …?');
  });

  test('is shortened after its tokens are removed, so that no half of one is left', () => {
    for (let at = limits.outsideText.value - 120; at <= limits.outsideText.value; at++) {
      expect(outsideText(`${'x '.repeat(at / 2)}${token}`)).not.toMatch(/eyJ/);
    }
  });

  test('is one line without control characters, and not long', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2_000 }), (text) => {
        const shown = outsideText(text);
        expect(shown).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        expect(shown.length).toBeLessThanOrEqual(limits.outsideText.value + 1);
      }),
    );
  });

  test('is left out when it is HTML, and kept when it is a sentence', () => {
    expect(outsideText('<!DOCTYPE html><html><body>nginx</body></html>')).toBe('');
    expect(outsideText('  <html>')).toBe('');
    expect(outsideText('no permission to access the room')).toBe('no permission to access the room');
    expect(outsideText('the access token has expired')).toBe('the access token has expired');
  });
});

describe('what is shown of the engine', () => {
  test('never holds a token', () => {
    const advice = `Did you mean ${token} ?`;
    const error = new OffhookError('OFFHOOK_PROTOCOL', `the server said ${token}`, { advice });
    const again = new OffhookError(error.code, error.message, { advice: error.advice });
    const timeline = new Timeline('room');
    timeline.begin('join').end('failed', `refused ${token}`);
    for (const text of [
      error.message,
      error.stack ?? '',
      error.toLine(),
      error.advice ?? '',
      again.message,
      describeError(new Error(`plain ${token}`)),
      JSON.stringify(timeline),
      withoutTokens(token),
    ]) {
      expect(text).not.toContain('eyJ');
    }
    expect(again.message).toBe('the server said …. Did you mean … ?');
  });
});
