import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OffhookError } from '../../src/errors/index.js';
import { limits } from '../../src/limits.js';
import {
  dataSection,
  type MediaSection,
  parseDescription,
  writeDescription,
} from '../../src/transport/index.js';

const transport = {
  ufrag: 'abcd',
  pwd: '0123456789012345678901',
  iceLite: false,
  fingerprints: ['sha-256 AB:CD'],
  setup: 'actpass' as const,
  candidates: ['candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host'],
};
const write = (sections: MediaSection[]) =>
  writeDescription({ transport, sections }, { sessionId: '1', version: 1 });

const word = fc.stringMatching(/^[A-Za-z0-9]{1,12}$/);
const codec = fc.record({
  payloadType: fc.integer({ min: 96, max: 127 }),
  name: word,
  clockRate: fc.integer({ min: 1, max: 96_000 }),
  channels: fc.integer({ min: 1, max: 8 }),
  parameters: fc.constantFrom('', 'minptime=10;useinbandfec=1', 'apt=96'),
  feedback: fc.uniqueArray(fc.constantFrom('nack', 'nack pli', 'transport-cc'), { maxLength: 3 }),
});
const section = fc.record({
  kind: fc.constantFrom('audio' as const, 'video' as const),
  mid: word,
  direction: fc.constantFrom('sendonly' as const, 'sendrecv' as const),
  codecs: fc.uniqueArray(codec, { minLength: 1, maxLength: 5, selector: ({ payloadType }) => payloadType }),
  extensions: fc.array(fc.record({ id: fc.integer({ min: 1, max: 255 }), uri: word }), { maxLength: 5 }),
  msid: fc.record({ streamId: fc.constantFrom('PA_a|TR_b', '-'), trackId: word }),
  sources: fc.uniqueArray(fc.record({ ssrc: fc.integer({ min: 1, max: 0x7fffffff }), cname: word }), {
    maxLength: 3,
    selector: ({ ssrc }) => ssrc,
  }),
  rids: fc.uniqueArray(
    fc.record({ id: word, direction: fc.constantFrom('send' as const, 'recv' as const) }),
    { maxLength: 3, selector: ({ id }) => id },
  ),
});

describe('a session description', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(fc.array(section, { maxLength: 5 }), (media) => {
        const sections = [dataSection('data'), ...media];
        const read = parseDescription(write(sections));
        expect(read.transport).toEqual(transport);
        expect(read.sections.slice(1)).toEqual(media);
        expect(read.sections[0]).toMatchObject(dataSection('data'));
      }),
    );
  });

  test('pairs a stream with its retransmissions, whichever comes first', () => {
    const lines = ['a=ssrc-group:FID 1 2', 'a=ssrc:2 cname:c', 'a=ssrc:1 cname:c'];
    for (const order of [lines, lines.toReversed()]) {
      const text = write([]).concat('m=video 9 UDP/TLS/RTP/SAVPF 96\r\n', order.join('\r\n'), '\r\n');
      const [video] = parseDescription(
        text.replace('t=0 0', 't=0 0\r\na=ice-ufrag:abcd\r\na=ice-pwd:x'),
      ).sections;
      expect(video?.sources).toEqual([{ ssrc: 1, cname: 'c', repairSsrc: 2 }]);
    }
  });

  test('keeps the place of a section that we do not know, and rejects it', () => {
    const text = write([dataSection('0')]).concat('m=text 9 RTP/AVP 98\r\na=mid:1\r\n');
    expect(parseDescription(text).sections.map(({ mid, rejected = false }) => [mid, rejected])).toEqual([
      ['0', false],
      ['1', true],
    ]);
  });

  test('of any text is read or refused with an error of ours', () => {
    const line = fc.oneof(fc.string(), fc.constantFrom(...write([dataSection('0')]).split('\r\n')));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), (lines) => {
        try {
          parseDescription(
            `v=0\r\na=ice-ufrag:a\r\na=ice-pwd:b\r\na=fingerprint:c d\r\n${lines.join('\r\n')}`,
          );
        } catch (error) {
          expect(error).toBeInstanceOf(OffhookError);
        }
      }),
    );
  });

  test.each([
    ['ICE credentials', 'a=ice-ufrag:', 256],
    ['ICE credentials', 'a=ice-pwd:', 256],
    ['a MID', 'a=mid:', 64],
  ])('with %s (%s) that are too long is refused, for others get to see them', (_what, line, most) => {
    const sdp = write([dataSection('0')]);
    const withValue = (chars: number) =>
      sdp.replaceAll(new RegExp(`${line}.*`, 'g'), `${line}${'x'.repeat(chars)}`);
    expect(parseDescription(withValue(most)).sections).toHaveLength(1);
    expect(() => parseDescription(withValue(most + 1))).toThrow(/too long/);
  });

  test('with more codecs, candidates, fingerprints and streams than any peer has is read as far as that', () => {
    const numbers = Array.from({ length: 1_000 }, (_, i) => i);
    const payloadTypes = numbers.map((number) => number + 200);
    const lines = [
      `m=audio 9 UDP/TLS/RTP/SAVPF ${payloadTypes.join(' ')}`,
      'a=mid:1',
      'a=ice-ufrag:abcd',
      'a=ice-pwd:abcdefghijklmnopqrstuv',
      ...payloadTypes.map((type) => `a=rtpmap:${type} opus/48000/2`),
      ...numbers.map((number) => `a=candidate:${number} 1 udp 1 10.0.0.1 5000 typ host`),
      ...numbers.map((number) => `a=fingerprint:sha-256 ${number}`),
      ...numbers.map((number) => `a=ssrc:${number + 1} cname:x`),
    ];
    const description = parseDescription(`v=0\r\n${lines.join('\r\n')}\r\n`);
    const [section] = description.sections;
    expect(section!.codecs.length).toBe(limits.sectionCodecs.value);
    expect(section!.sources?.length).toBe(limits.sectionSources.value);
    expect(description.transport.candidates.length).toBe(limits.descriptionCandidates.value);
    expect(description.transport.fingerprints.length).toBe(limits.descriptionFingerprints.value);
  });

  test('that is longer than any peer writes is refused', () => {
    const sections = 'm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n'.repeat(2_000);
    expect(() => parseDescription(write([dataSection('0')]) + sections)).toThrow(OffhookError);
    expect(() => parseDescription(`v=0\r\n${'a'.repeat(3_000_000)}`)).toThrow(OffhookError);
  });
});
