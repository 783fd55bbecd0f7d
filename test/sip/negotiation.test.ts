import { describe, expect, test } from 'vitest';
import { Negotiation, parseSdp } from '../../src/sip/media/index.js';

const local = { address: '192.0.2.1', port: 20_000, rtcpPort: 20_001 };

function sdp(...media: string[]): Buffer {
  return Buffer.from(
    ['v=0', 'o=- 1 1 IN IP4 192.0.2.9', 's=-', 'c=IN IP4 192.0.2.9', 't=0 0', ...media, ''].join('\r\n'),
  );
}

describe('an answer', () => {
  test('takes the first codec of the offer that we have, with its number, and telephone events', () => {
    const offer = sdp(
      'm=audio 4000 RTP/AVP 18 96 8 0 110',
      'a=rtpmap:96 opus/48000/2',
      'a=rtpmap:110 telephone-event/48000',
    );
    const result = new Negotiation(local).answer(offer);
    expect(result).toMatchObject({
      ok: true,
      media: {
        payloadType: 96,
        dtmfPayloadType: 110,
        dtmfClockRate: 48_000,
        remote: { address: '192.0.2.9', port: 4_000, rtcpPort: 4_001 },
        direction: 'sendrecv',
      },
    });
    expect(result.ok && result.media.codec.name).toBe('OPUS');
  });

  test('knows formats by number alone', () => {
    const result = new Negotiation(local).answer(sdp('m=audio 4000 RTP/AVP 8'));
    expect(result.ok && result.media.codec.name).toBe('PCMA');
  });

  test('refuses other sections by port 0, in their places', () => {
    const offer = sdp('m=video 5000 RTP/AVP 31', 'm=audio 4000 RTP/AVP 0', 'm=image 6000 udptl t38');
    const result = new Negotiation(local).answer(offer);
    const answer = result.ok ? parseSdp(result.sdp.toString()) : undefined;
    expect(answer?.media.map(({ type, port }) => [type, port])).toEqual([
      ['video', 0],
      ['audio', 20_000],
      ['image', 0],
    ]);
  });

  test.each([
    ['sendonly', 'recvonly'],
    ['recvonly', 'sendonly'],
    ['inactive', 'inactive'],
    ['sendrecv', 'sendrecv'],
  ])('to %s is %s', (offered, answered) => {
    const result = new Negotiation(local).answer(sdp('m=audio 4000 RTP/AVP 0', `a=${offered}`));
    expect(result.ok && result.media.direction).toBe(answered);
    expect(result.ok && result.sdp.toString()).toContain(`a=${answered}`);
  });

  test('to an offer from nowhere is on hold', () => {
    const offer = sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP4 0.0.0.0');
    const result = new Negotiation(local).answer(offer);
    expect(result.ok && result.media.direction).toBe('recvonly');
  });

  test.each([
    ['no description', Buffer.from('hello'), 400],
    ['no codec in common', sdp('m=audio 4000 RTP/AVP 18'), 488],
    ['no audio', sdp('m=video 4000 RTP/AVP 31'), 488],
    ['a multicast address', sdp('m=audio 4000 RTP/AVP 0', 'c=IN IP4 224.1.1.1'), 488],
    ['a privileged port', sdp('m=audio 53 RTP/AVP 0'), 488],
    [
      'keys that are too short',
      sdp('m=audio 4000 RTP/SAVP 0', 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA'),
      488,
    ],
    ['encryption without keys', sdp('m=audio 4000 RTP/SAVP 0'), 488],
  ])('refuses %s', (_what, offer, status) => {
    expect(new Negotiation(local).answer(offer)).toMatchObject({ ok: false, status });
  });

  test('takes the key of the offer and gives one of our own', () => {
    const key = Buffer.alloc(30, 7).toString('base64');
    const offer = sdp('m=audio 4000 RTP/SAVP 0', `a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:${key}|2^31`);
    const result = new Negotiation(local).answer(offer);
    expect(result).toMatchObject({ ok: true, media: { srtp: { profile: 'AES_CM_128_HMAC_SHA1_80' } } });
    const [answered] = (result.ok && parseSdp(result.sdp.toString())?.media) || [];
    expect(answered).toMatchObject({ protocol: 'RTP/SAVP', crypto: [{ tag: 3 }] });
    expect(answered!.crypto[0]!.keyParams).not.toContain(key);
  });

  test('where encryption is required, an offer without is refused', () => {
    const negotiation = new Negotiation(local, { encryption: 'require' });
    expect(negotiation.answer(sdp('m=audio 4000 RTP/AVP 0'))).toMatchObject({ ok: false, status: 488 });
  });
});

describe('an offer', () => {
  test('is answered by another negotiation, and both agree', () => {
    const caller = new Negotiation(
      { address: '192.0.2.2', port: 30_000, rtcpPort: 30_001 },
      { encryption: 'require' },
    );
    const callee = new Negotiation(local, { encryption: 'allow' });
    const answered = callee.answer(caller.offer());
    if (!answered.ok) throw new Error(answered.reason);
    const accepted = caller.accept(answered.sdp);
    if (!accepted.ok) throw new Error(accepted.reason);
    expect(accepted.media.codec).toBe(answered.media.codec);
    expect(accepted.media.srtp?.remote.key).toEqual(answered.media.srtp?.local.key);
    expect(accepted.media.srtp?.local.key).toEqual(answered.media.srtp?.remote.key);
    expect(accepted.media.remote).toMatchObject({ address: '192.0.2.1', port: 20_000 });
  });

  test('is refused when the answer has a codec that was not offered', () => {
    const caller = new Negotiation(local, { codecs: ['PCMU'] });
    caller.offer();
    expect(caller.accept(sdp('m=audio 4000 RTP/AVP 8'))).toMatchObject({ ok: false });
  });
});
