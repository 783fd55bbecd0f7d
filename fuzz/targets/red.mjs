import { buildRed, parseRed } from '../../dist/audio/red.js';
import { check } from '../engine/target.mjs';

export default {
  about: 'RED payloads (RFC 2198)',
  maxBytes: 1500,
  seeds: () => [
    buildRed(111, Buffer.from('now'), []),
    buildRed(111, Buffer.from('now'), [
      { timestampOffset: 1920, payload: Buffer.from('before last') },
      { timestampOffset: 960, payload: Buffer.from('last') },
    ]),
  ],
  run(input) {
    const blocks = parseRed(input);
    if (!blocks) return;
    const bytes = blocks.reduce((sum, { payload }) => sum + payload.length, 0);
    check(bytes < input.length, 'the blocks lie beside each other in the payload');
    check(blocks.at(-1).timestampOffset === 0, 'the last block is the primary one');
  },
};
