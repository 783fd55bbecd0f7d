import { OffhookError } from '../../dist/errors/index.js';
import { parseDescription, writeDescription } from '../../dist/transport/description.js';
import { check, refusesWith } from '../engine/target.mjs';

/** Without these no description is read at all. */
export const head =
  'v=0\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 00:11\r\n';

const words = [
  ...[
    'v=0\r\n',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n',
  ],
  ...[
    'a=rtpmap:111 opus/48000/2\r\n',
    'a=fmtp:111 useinbandfec=1\r\n',
    'a=mid:0\r\n',
    'a=rtcp-fb:111 nack\r\n',
  ],
  ...['a=ssrc:1 cname:x\r\n', 'a=ssrc-group:FID 1 2\r\n', 'a=rid:h send\r\n', 'a=simulcast:send h;l\r\n'],
  ...[
    'a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n',
    'a=msid:PA_a|TR_b TR_b\r\n',
    'a=sendonly\r\n',
  ],
  ...[
    'a=candidate:1 1 udp 2130706431 10.0.0.7 50000 typ host\r\n',
    'a=group:BUNDLE 0 1\r\n',
    'a=ice-lite\r\n',
  ],
  ...['a=fingerprint:sha-256 00:11\r\n', 'a=ice-ufrag:abcd\r\n', 'a=ice-pwd:0123456789012345678901\r\n'],
];

export default {
  about: 'session descriptions of a server',
  maxBytes: 16_384,
  words,
  run(input) {
    const text = input.toString('utf8');
    refusesWith([OffhookError], () => parseDescription(text));
    refusesWith([OffhookError], () => {
      const { transport, sections } = parseDescription(head + text);
      const written = writeDescription({ transport, sections }, { sessionId: '1', version: 1 });
      check(parseDescription(written).sections.length === sections.length, 'what was read can be written');
    });
  },
};
