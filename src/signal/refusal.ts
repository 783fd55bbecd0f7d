import { OffhookError, outsideText } from '../errors/index.js';
import { suspectToken } from './access-token.js';
import type { UpgradeRefused } from './signal-socket.js';

/**
 * The sentence in the body of an error answer: livekit-server sends plain text, which may repeat the token, or
 * `{"error": …}`.
 */
export function sentenceOf(body: string, token: string): string {
  return outsideText(messageIn(body.trim()), [token]);
}

function messageIn(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) {
      const { error, msg, message } = parsed as Record<string, unknown>;
      return String(error ?? msg ?? message ?? text);
    }
  } catch {
    // Plain text.
  }
  return text;
}

/** What a status other than those about the token says to do. */
export function adviceFor(status: number): string {
  if (status === 429 || status >= 500) {
    return 'The server is overloaded or broken: try again later and read its log.';
  }
  // A server of LiveKit's says so to a request that it understands and does not like.
  if (status === 400) return 'The server refused this request: its log says why.';
  return 'Check that the address is that of a LiveKit server, not of something in front of it.';
}

/** An HTTP status in place of a WebSocket, as an error that says what to do. */
export function explainRefusal(refusal: UpgradeRefused, token: string, host: string): OffhookError {
  const { status, body } = refusal;
  const sentence = sentenceOf(body, token);
  const says = sentence === '' ? `HTTP ${status}` : `HTTP ${status}, ${sentence}`;
  const where = { stage: 'websocket', host, cause: refusal } as const;
  if (status === 401 || status === 403) {
    return new OffhookError('OFFHOOK_UNAUTHORIZED', `${host} refused the access token: ${says}`, {
      ...where,
      advice: suspectToken(token, Date.now()),
    });
  }
  if (status === 404) {
    return new OffhookError(
      'OFFHOOK_SERVER_REFUSED',
      `${host} has no LiveKit signalling at this path: ${says}`,
      {
        ...where,
        advice: 'Check host, port and path, and that the room exists if the server does not create rooms.',
      },
    );
  }
  return new OffhookError('OFFHOOK_SERVER_REFUSED', `${host} did not open the connection: ${says}`, {
    ...where,
    advice: adviceFor(status),
  });
}
