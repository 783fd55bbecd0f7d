import * as stun from '../../dist/transport/ice/stun.js';
import { check } from '../engine/target.mjs';

const { attributeOf, errorCodeOf, hasIntegrity, parseStun, parseXorAddress, serializeStun } = stun;
const { stunAttribute, stunMethod, xorAddress } = stun;
const transactionId = Buffer.from('0123456789ab');
const address = (text) => xorAddress({ address: text, port: 7882 }, transactionId);
const message = (attributes, fields, key) =>
  serializeStun({ class: 'request', method: stunMethod.binding, transactionId, attributes, ...fields }, key);

export default {
  about: 'STUN and TURN messages, their addresses and signatures',
  maxBytes: 1500,
  words: Object.values(stunAttribute),
  seeds: () => [
    message([{ type: stunAttribute.username, value: Buffer.from('a:b') }], {}, 'password'),
    message([{ type: stunAttribute.xorMappedAddress, value: address('10.0.0.7') }], { class: 'success' }),
    message([{ type: stunAttribute.xorRelayedAddress, value: address('::1') }], { class: 'success' }, 'key'),
    message(
      [
        { type: stunAttribute.errorCode, value: Buffer.from([0, 0, 4, 38]) },
        { type: stunAttribute.nonce, value: Buffer.from('nonce') },
      ],
      { class: 'error', method: stunMethod.allocate },
    ),
  ],
  run(input) {
    hasIntegrity(input, 'password');
    const parsed = parseStun(input);
    if (!parsed) return;
    errorCodeOf(parsed);
    for (const { value } of parsed.attributes) parseXorAddress(value, parsed.transactionId);
    for (const type of Object.values(stunAttribute)) attributeOf(parsed, type);
    const again = parseStun(serializeStun(parsed));
    check(again?.attributes.length === parsed.attributes.length, 'what was read can be written');
  },
};
