export { formatParams, type Params, quote, splitList, unquote } from './cursor.js';
export { StreamFraming, type StreamUnit } from './framing.js';
export {
  type CSeq,
  formatNameAddr,
  formatVia,
  isSameResource,
  mediaTypeOf,
  type NameAddr,
  parseCSeq,
  parseNameAddr,
  parseNumber,
  parseVia,
  tagOf,
  type Via,
} from './headers.js';
export {
  branchCookie,
  Headers,
  hasOption,
  nameAddrs,
  newBranch,
  newTag,
  reasonOf,
  responseTo,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  serializeMessage,
} from './message.js';
export { type ParseResult, parseMessage } from './parse.js';
export {
  escapeUser,
  formatHostPort,
  formatUri,
  isSipUri,
  type OtherUri,
  parseHostPort,
  parseUri,
  type SipUri,
  type Uri,
  unescapeUri,
  userOf,
} from './uri.js';
