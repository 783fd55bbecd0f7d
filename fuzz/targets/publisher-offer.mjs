import { parse } from 'sdp-transform';
import { answerSections } from '../../dist/server/sfu/publisher-answer.js';
import sdp from './sdp.mjs';

export default {
  about: "a client's offer, and the room server's answer to it",
  maxBytes: sdp.maxBytes,
  words: sdp.words,
  run(input) {
    answerSections(parse(input.toString('utf8')), () => undefined);
  },
};
