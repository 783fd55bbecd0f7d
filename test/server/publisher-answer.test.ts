import { describe, expect, test } from 'vitest';
import { parseClientDescription } from '../../src/server/sfu/client-description.js';
import { answerSections, readOffer } from '../../src/server/sfu/publisher-answer.js';
import { parseDescription, writeDescription } from '../../src/transport/index.js';
import { audioOffer } from './signal-peer.js';

const simulcastOffer = `${[
  'v=0',
  'a=ice-ufrag:abcd',
  'a=ice-pwd:0123456789012345678901',
  'a=fingerprint:sha-256 AB',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'm=video 9 UDP/TLS/RTP/SAVPF 96 97 98',
  'c=IN IP4 0.0.0.0',
  'a=mid:1',
  'a=sendonly',
  'a=msid:- cam',
  'a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
  'a=rtpmap:96 VP8/90000',
  'a=rtcp-fb:96 goog-remb',
  'a=rtcp-fb:96 transport-cc',
  'a=rtcp-fb:96 nack pli',
  'a=rtpmap:97 rtx/90000',
  'a=fmtp:97 apt=96',
  'a=rtpmap:98 H265/90000',
  'a=rid:q send',
  'a=rid:h send',
  'a=rid:f send',
  'a=simulcast:send q;h;f',
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
  'c=IN IP4 0.0.0.0',
  'a=mid:2',
  'a=sctp-port:5000',
].join('\r\n')}\r\n`;

const read = (sdp: string) => readOffer(parseDescription(sdp).sections);

/** The sections of the answer to an offer, parsed again, and its text. */
function answer(sdp: string, wishes?: { red: boolean; stereo: boolean; dtx: boolean; videoCodec?: string }) {
  const { transport, sections: offer } = parseClientDescription(sdp);
  const answered = answerSections(
    offer,
    readOffer(offer),
    () => wishes && { videoCodec: undefined, ...wishes },
  );
  const text = writeDescription({ transport, sections: answered }, { sessionId: '1', version: 1 });
  return { text, sections: parseDescription(text).sections };
}

describe('the answer to a publisher', () => {
  test('takes RED before Opus, so that senders choose it', () => {
    const { sections, text } = answer(audioOffer('c'), { red: true, stereo: false, dtx: true });
    expect(sections[0]?.codecs.map(({ payloadType }) => payloadType)).toEqual([63, 111]);
    expect(sections[0]?.direction).toBe('recvonly');
    expect(text).toContain('a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1');
    expect(text).not.toContain('PCMU');
    expect(text).not.toContain('transport-wide-cc');
  });

  test('takes the codec first in which the publisher would send', () => {
    const offer = simulcastOffer.replace('98 H265', '98 VP9');
    const wishes = { red: true, stereo: false, dtx: true };
    const namesFor = (videoCodec: string) =>
      answer(offer, { ...wishes, videoCodec }).sections[0]?.codecs.map(({ name }) => name);
    expect(namesFor('vp9')).toEqual(['VP9', 'VP8']);
    expect(namesFor('vp8')).toEqual(['VP8', 'VP9']);
    expect(namesFor('av1')).toEqual(['VP8', 'VP9']);
  });

  test('does as the publisher wished: no RED, stereo, no DTX', () => {
    const { sections, text } = answer(audioOffer('c'), { red: false, stereo: true, dtx: false });
    expect(sections[0]?.codecs.map(({ payloadType }) => payloadType)).toEqual([111]);
    expect(text).toContain('stereo=1');
    expect(text).not.toContain('usedtx');
  });

  test('takes all streams of a simulcast, and no codec that cannot be forwarded', () => {
    const { sections, text } = answer(simulcastOffer);
    expect(sections[0]?.codecs.map(({ payloadType }) => payloadType)).toEqual([96]);
    expect(text).toContain('a=simulcast:recv q;h;f');
    expect(text).toContain('a=rid:f recv');
    expect(text).toContain('a=rid:q recv');
    expect(sections[1]).toMatchObject({ kind: 'application', mid: '2' });
    expect(text).toContain('a=group:BUNDLE 1 2\r\n');
  });

  test('rejects a section of which it knows no codec', () => {
    const { sections } = answer(audioOffer('c').replaceAll('opus', 'speex').replaceAll('red/', 'ilbc/'));
    expect(sections[0]?.rejected).toBe(true);
  });

  test('reads what is sent: ids, SSRCs without those of repair, RIDs', () => {
    expect(read(audioOffer('c'))).toMatchObject([
      { mid: '0', kind: 'audio', sending: true, streamId: 'stream', trackId: 'c', ssrcs: [1234], rids: [] },
    ]);
    expect(read(simulcastOffer)[0]).toMatchObject({
      trackId: 'cam',
      rids: ['q', 'h', 'f'],
    });
    const withRepair = audioOffer('c').replace(
      'a=ssrc:1234 cname',
      'a=ssrc-group:FID 1234 99\r\na=ssrc:99 cname:c\r\na=ssrc:1234 cname',
    );
    expect(read(withRepair)[0]?.ssrcs).toEqual([1234]);
  });

  test('a description without ICE credentials is an error that says so', () => {
    expect(() => parseClientDescription('v=0\r\n')).toThrow(/ICE credentials/);
  });
});
