import { createHmac } from 'node:crypto';
import { ParticipantInfo } from '@livekit/protocol';
import { verifyAccess } from '../../dist/server/access-token.js';
import { HttpError } from '../../dist/server/http-error.js';
import { check } from '../engine/target.mjs';

const keys = { key: 'a secret of at least 32 characters' };
const base64 = (text) => Buffer.from(text).toString('base64url');
const header = base64('{"alg":"HS256"}');
/** 2100: a token that has expired is refused before its claims are read. */
const inTime = '"iss":"key","sub":"ada","exp":4102444800';

/** A token that whoever has the secret signed: only its claims are strange. */
function signed(claims) {
  const content = `${header}.${base64(claims)}`;
  return `${content}.${createHmac('sha256', keys.key).update(content).digest('base64url')}`;
}

async function verify(token) {
  try {
    return await verifyAccess(token, keys);
  } catch (error) {
    if (error instanceof HttpError) return undefined;
    throw error;
  }
}

export default {
  about: 'access tokens: forged ones, and signed ones with claims of any kind',
  maxBytes: 4096,
  words: [
    '"video":{',
    '"roomJoin":true',
    '"canPublishSources":["camera"]',
    '"attributes":{"a":"b"}',
    '"kind":"agent"',
    '"roomConfig":{',
    '"nbf":',
    'null',
    '__proto__',
  ],
  seeds: () => [
    Buffer.from(
      '"video":{"roomJoin":true,"room":"r","canPublishSources":["microphone"]},"attributes":{"a":"b"},"kind":"agent"',
    ),
    Buffer.from('"roomConfig":{"name":"n","agents":[{"agentName":"a"}]},"metadata":"m","name":"n"'),
    Buffer.from(`${header}.${base64(`{${inTime}}`)}.c2lnbmF0dXJl`),
  ],
  async run(input) {
    const text = input.toString('utf8');
    check((await verify(text)) === undefined, 'what nobody signed is refused');
    const access = await verify(signed(`{${inTime}${text === '' ? '' : `,${text}`}}`));
    if (!access) return;
    const { identity, name, metadata, attributes } = access;
    new ParticipantInfo({ identity, name, metadata, attributes }).toBinary();
    access.roomConfig?.toBinary();
  },
};
