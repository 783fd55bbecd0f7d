import { Negotiation, parseSdp } from '../../dist/sip/media/index.js';
import { check } from '../engine/target.mjs';

const offer = [
  'v=0',
  'o=- 1 2 IN IP4 192.0.2.9',
  's=-',
  'c=IN IP4 192.0.2.9',
  't=0 0',
  'm=video 4000 RTP/AVP 31',
  'm=audio 4002 RTP/SAVP 0 8 9 96 101',
  'c=IN IP6 2001:db8::1',
  'a=rtpmap:96 opus/48000/2',
  'a=fmtp:96 useinbandfec=1',
  'a=rtpmap:101 telephone-event/8000',
  'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4',
  'a=rtcp:4005 IN IP4 192.0.2.8',
  'a=ptime:20',
  'a=sendonly',
  'a=rtcp-mux',
  '',
].join('\r\n');

export default {
  about: 'session descriptions of telephones, as offer and as answer',
  maxBytes: 4096,
  seeds: () => [Buffer.from(offer), Buffer.from(offer.replace('SAVP', 'AVP').replace(/a=crypto.*\r\n/, ''))],
  words: [
    'm=audio ',
    'RTP/AVP',
    'RTP/SAVP',
    'a=crypto:',
    'inline:',
    'a=rtpmap:',
    'c=IN IP4 ',
    '0.0.0.0',
    'telephone-event',
  ],
  run(input) {
    const local = { address: '192.0.2.1', port: 20_000, rtcpPort: 20_001 };
    for (const encryption of ['disable', 'allow', 'require']) {
      const answering = new Negotiation(local, { encryption });
      const answered = answering.answer(input);
      if (answered.ok) {
        const { remote, srtp } = answered.media;
        check(remote.port === 0 || remote.port >= 1_024, 'media is not sent to privileged ports');
        check(encryption !== 'require' || srtp !== undefined, 'what must be encrypted is');
        const sections = parseSdp(input.toString())?.media.length;
        check(parseSdp(answered.sdp.toString())?.media.length === sections, 'every section is answered');
      }
      const offering = new Negotiation(local, { encryption });
      offering.offer();
      const accepted = offering.accept(input);
      if (accepted.ok && encryption === 'require')
        check(accepted.media.srtp !== undefined, 'what must be encrypted is');
    }
  },
};
