import { OffhookError } from '../../dist/errors/index.js';
import { answerSections, readOffer } from '../../dist/server/sfu/publisher-answer.js';
import { parseDescription } from '../../dist/transport/index.js';
import { refusesWith } from '../engine/target.mjs';
import sdp, { head } from './sdp.mjs';

export default {
  about: "a client's offer, and the room server's answer to it",
  maxBytes: sdp.maxBytes,
  words: sdp.words,
  run(input) {
    refusesWith([OffhookError], () => {
      const { sections } = parseDescription(head + input.toString('utf8'));
      answerSections(sections, readOffer(sections), () => undefined);
    });
  },
};
