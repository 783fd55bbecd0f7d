import { OffhookError } from '../../dist/errors/index.js';
import { parseMessage, StreamFraming, serializeMessage } from '../../dist/sip/message/index.js';
import { check, refusesWith } from '../engine/target.mjs';

const invite = [
  'INVITE sip:1234@192.0.2.1;transport=tcp SIP/2.0',
  'v: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKabc;rport, SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bK1',
  'f: "Ada \\"L\\"" <sip:ada:pw@example.com;user=phone?X=1>;tag=1',
  't: sip:1234@192.0.2.1',
  'i: call@192.0.2.9',
  'CSeq: 7 INVITE',
  'm: <sip:ada@192.0.2.9>;expires=60;q=0.5',
  'Route: <sip:proxy.example;lr>,',
  ' <sip:other.example>',
  'Max-Forwards: 70',
  'c: application/sdp',
  'l: 4',
  '',
  'v=0',
].join('\r\n');
const response = [
  'SIP/2.0 200 OK',
  'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx;received=192.0.2.2',
  'From: <tel:+15551234>;tag=a',
  'To: caller<sip:b@c>;tag=b',
  'Call-ID: x',
  'CSeq: 1 BYE',
  'Content-Length: 0',
  '',
  '',
].join('\r\n');

export default {
  about: 'SIP messages in datagrams, and streams of them',
  maxBytes: 4096,
  seeds: () => [Buffer.from(invite), Buffer.from(response), Buffer.from(`\r\n\r\n${response}\r\n${invite}`)],
  words: [
    'SIP/2.0',
    'z9hG4bK',
    'Content-Length: ',
    'Via: SIP/2.0/UDP ',
    'sips:',
    '<sip:',
    ';tag=',
    '\r\n ',
    '\r\n\r\n',
  ],
  run(input) {
    const parsed = parseMessage(input);
    if (parsed.kind === 'message') {
      const again = parseMessage(serializeMessage(parsed.message));
      check(again.kind === 'message', `what was read can be written and read again (${again.why})`);
      check(again.message.callId === parsed.message.callId, 'it is the same call then');
      check(again.message.body.equals(parsed.message.body), 'its body is the same then');
    }
    const framing = new StreamFraming();
    const half = input.length >> 1;
    for (const chunk of [input.subarray(0, half), input.subarray(half)]) {
      const units = refusesWith([OffhookError], () => framing.push(Buffer.from(chunk)));
      if (!units) break;
      const bytes = units.reduce((sum, unit) => sum + (unit.bytes?.length ?? 0), 0);
      check(bytes <= input.length, 'no more comes out than went in');
    }
  },
};
