export { Authenticator, type AuthOutcome } from './authenticator.js';
export {
  answerChallenge,
  type DigestAlgorithm,
  type DigestChallenge,
  type DigestCredentials,
  type DigestSecret,
  digestResponse,
  formatChallenge,
  formatCredentials,
  parseChallenge,
  parseCredentials,
} from './digest.js';
export { type Binding, type RegisterOutcome, Registrar } from './registrar.js';
