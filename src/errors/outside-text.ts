import { limits } from '../limits.js';

/** A JSON Web Token, whole or cut off: a header that begins with `{"` in base64url, and up to two more parts. */
const webToken = /eyJ[\w-]{4,}(?:(?:\.|%2E)[\w%-]*){0,2}/gi;
/** What carries a secret by its name: in a query, in a header, in JSON. */
const namedSecret =
  /((?:access_token|join_request|api_secret|authorization)["']?\s*[=:]\s*["']?(?:bearer\s+)?)[^\s"'&,;}]+/gi;

/** `text` without access tokens, and without the `secrets` that the caller knows. Everything that is shown goes through it. */
export function withoutTokens(text: string, secrets: readonly string[] = []): string {
  let plain = text;
  for (const secret of secrets) if (secret.length >= 8) plain = plain.replaceAll(secret, '…');
  if (!/eyJ|token|secret|join_request|authorization/i.test(plain)) return plain;
  return plain.replace(webToken, '…').replace(namedSecret, '$1…');
}

/**
 * Text that somebody else wrote (a server, a proxy, a plugin) as it may be shown: without tokens, in one line, and no
 * longer than a sentence or two. HTML, which says nothing to a person, becomes nothing.
 *
 * @param secrets what the other side was given, in whatever form it may give it back
 */
export function outsideText(text: string, secrets: readonly string[] = []): string {
  // Before the text is shortened: half a token would not be recognised.
  const line = Array.from(withoutTokens(text, secrets), (character) =>
    isControl(character) ? ' ' : character,
  )
    .join('')
    .replace(/\s+/g, ' ')
    .trim();
  if (/^<(?:!doctype|html|\?xml|head|body|[a-z]+[ >])/i.test(line)) return '';
  const most = limits.outsideText.value;
  return line.length > most ? `${line.slice(0, most)}…` : line;
}

function isControl(character: string): boolean {
  const code = character.codePointAt(0)!;
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029;
}
