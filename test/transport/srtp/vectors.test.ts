import { describe, expect, test } from 'vitest';
import { AeadGcm } from '../../../src/transport/srtp/aead-gcm.js';
import { CmHmac } from '../../../src/transport/srtp/cm-hmac.js';
import { CounterMode } from '../../../src/transport/srtp/counter-mode.js';
import { deriveKey, deriveSessionKeys, keyLabel } from '../../../src/transport/srtp/key-derivation.js';
import { srtpProfiles } from '../../../src/transport/srtp/profile.js';

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex');

describe('RFC 3711', () => {
  const master = {
    key: hex('E1F97A0D3E018BE0D64FA32C06DE4139'),
    salt: hex('0EC675AD498AFEEBB6960B3AABE6'),
  };

  test('the key stream of appendix B.2, from its first block to its last', () => {
    const cipher = new CounterMode(
      hex('2B7E151628AED2A6ABF7158809CF4F3C'),
      hex('F0F1F2F3F4F5F6F7F8F9FAFBFCFD'),
    );
    const stream = Buffer.alloc(0xff02 * 16);
    cipher.apply(Buffer.alloc(stream.length), stream, 0, stream.length, 0, 0);
    expect(stream.subarray(0, 48)).toEqual(
      hex(
        'E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0',
      ),
    );
    expect(stream.subarray(0xfeff * 16)).toEqual(
      hex(
        'EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44',
      ),
    );
    // A short packet takes another way to the same key stream.
    for (const length of [1, 15, 16, 17, 48, 512]) {
      const short = Buffer.alloc(length);
      cipher.apply(Buffer.alloc(length), short, 0, length, 0, 0);
      expect(short, `${length} bytes`).toEqual(stream.subarray(0, length));
    }
  });

  test('the session keys of appendix B.3', () => {
    expect(deriveKey(master, keyLabel.rtpEncryption, 16)).toEqual(hex('C61E7A93744F39EE10734AFE3FF7A087'));
    expect(deriveKey(master, keyLabel.rtpSalt, 14)).toEqual(hex('30CBBC08863D8C85D49DB34A9AE1'));
    expect(deriveKey(master, keyLabel.rtpAuthentication, 64)).toEqual(
      hex(`CEBE321F6FF7716B 6FD4AB49AF256A15 6D38BAA48F0A0ACF 3C34E2359E6CDBCE
           E049646C43D9327A D175578EF7227098 6371C10C9A369AC2 F94A8C5FBCDDDC25`),
    );
  });

  test('a whole packet of RTP and of RTCP, as libsrtp protects it with these keys', () => {
    const transform = new CmHmac(deriveSessionKeys(master), srtpProfiles.AES_CM_128_HMAC_SHA1_80);
    const rtp = hex(`800f1234decafbadcafebabe ${'ab'.repeat(16)}`);
    const srtp = hex('800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb');
    expect(transform.protectRtp(rtp, 12, 0xcafebabe, 0x1234)).toEqual(srtp);
    expect(transform.unprotectRtp(srtp, 12, 0xcafebabe, 0x1234)).toBe(rtp.length);
    expect(srtp.subarray(0, rtp.length)).toEqual(rtp);

    const rtcp = hex(`81c8000bcafebabe ${'ab'.repeat(16)}`);
    const srtcp = hex('81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798');
    expect(transform.protectRtcp(rtcp, 0xcafebabe, 1)).toEqual(srtcp);
    expect(transform.rtcpIndexWord(srtcp)).toBe(0x80000001);
    expect(transform.unprotectRtcp(srtcp, 0xcafebabe, 0x80000001)).toBe(rtcp.length);
    expect(srtcp.subarray(0, rtcp.length)).toEqual(rtcp);
  });

  test('a tag of 32 bits is the beginning of the one of 80 bits', () => {
    const keys = deriveSessionKeys(master);
    const rtp = hex(`800f1234decafbadcafebabe ${'ab'.repeat(16)}`);
    const short = new CmHmac(keys, srtpProfiles.AES_CM_128_HMAC_SHA1_32);
    const long = new CmHmac(keys, srtpProfiles.AES_CM_128_HMAC_SHA1_80);
    const srtp = short.protectRtp(rtp, 12, 0xcafebabe, 0x1234);
    expect(srtp).toEqual(long.protectRtp(rtp, 12, 0xcafebabe, 0x1234).subarray(0, rtp.length + 4));
    expect(short.unprotectRtp(srtp, 12, 0xcafebabe, 0x1234)).toBe(rtp.length);
    // RTCP keeps the long tag.
    expect(short.protectRtcp(rtp, 1, 1)).toEqual(long.protectRtcp(rtp, 1, 1));
  });
});

describe('RFC 7714', () => {
  const packetKeys = {
    encryption: hex('000102030405060708090a0b0c0d0e0f'),
    salt: hex('517569642070726f2071756f'),
    authentication: Buffer.alloc(0),
  };
  const transform = new AeadGcm({ rtp: packetKeys, rtcp: packetKeys });
  const rtcp = hex(`81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
                    deadbeef deadbeef deadbeef deadbeef deadbeef`);

  test('RTP encrypted and authenticated (16.1.1), and back (16.1.2)', () => {
    const rtp = hex(`8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
                     69736120 696e2070 61727465 73207472 6573`);
    const srtp = hex(`8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5
                      0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce`);
    expect(transform.protectRtp(rtp, 12, 0x5501a0b2, 0xf17b)).toEqual(srtp);
    expect(transform.unprotectRtp(srtp, 12, 0x5501a0b2, 0xf17b)).toBe(rtp.length);
    expect(srtp.subarray(0, rtp.length)).toEqual(rtp);
  });

  test('RTP that is all header is authenticated only (16.1.3, 16.1.4)', () => {
    const packet = hex(`8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976
                        69736120 696e2070 61727465 73207472 6573`);
    const tagged = Buffer.concat([packet, hex('22493f82d2bce397e9d79e3b19aa4216')]);
    expect(transform.protectRtp(packet, packet.length, 0x5501a0b2, 0xf17b)).toEqual(tagged);
    expect(transform.unprotectRtp(tagged, packet.length, 0x5501a0b2, 0xf17b)).toBe(packet.length);
  });

  test('RTCP encrypted and authenticated (17.1), and back (17.2)', () => {
    const srtcp = hex(`81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d
                       c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872
                       45d9eade 800005d4`);
    expect(transform.protectRtcp(rtcp, 0x4d617273, 0x5d4)).toEqual(srtcp);
    expect(transform.rtcpIndexWord(srtcp)).toBe(0x800005d4);
    expect(transform.unprotectRtcp(srtcp, 0x4d617273, 0x800005d4)).toBe(rtcp.length);
    expect(srtcp.subarray(0, rtcp.length)).toEqual(rtcp);
  });

  test('RTCP that is authenticated only (17.3, 17.4)', () => {
    const tagged = Buffer.concat([rtcp, hex('841dd9683dd78ec92ae58790125f62b3000005d4')]);
    expect(transform.rtcpIndexWord(tagged)).toBe(0x5d4);
    expect(transform.unprotectRtcp(tagged, 0x4d617273, 0x5d4)).toBe(rtcp.length);
    expect(tagged.subarray(0, rtcp.length)).toEqual(rtcp);
  });
});
