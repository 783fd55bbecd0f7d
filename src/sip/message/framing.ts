import { OffhookError } from '../../errors/index.js';
import { limits } from '../limits.js';
import { parseNumber } from './headers.js';
import { findBody } from './parse.js';

/** What a stream holds next: a whole message, or a keep-alive (RFC 5626, section 3.5.1). */
export type StreamUnit = { kind: 'message'; bytes: Buffer } | { kind: 'ping' } | { kind: 'pong' };

const contentLength = /^(?:content-length|l)[ \t]*:[ \t]*(\S*)[ \t]*$/im;

/** Cuts a TCP or TLS stream into messages by Content-Length (RFC 3261, section 18.3). Holds no more than one message. */
export class StreamFraming {
  #waiting: Buffer = Buffer.alloc(0);

  /**
   * Takes what was read and returns what is complete.
   *
   * @throws OffhookError `OFFHOOK_PROTOCOL` when the stream cannot be followed any more; it must be closed then
   */
  push(chunk: Buffer): StreamUnit[] {
    this.#waiting = this.#waiting.length === 0 ? chunk : Buffer.concat([this.#waiting, chunk]);
    const units: StreamUnit[] = [];
    for (let unit = this.#next(); unit; unit = this.#next()) units.push(unit);
    return units;
  }

  #next(): StreamUnit | undefined {
    if (this.#waiting[0] === 0x0d || this.#waiting[0] === 0x0a) return this.#keepAlive();
    const found = findBody(this.#waiting);
    if (!found) {
      if (this.#waiting.length > limits.headBytes.value) throw lost('headers that do not end');
      return undefined;
    }
    if (found.headEnd > limits.headBytes.value) throw lost('headers that are too long');
    const head = this.#waiting.toString('latin1', 0, found.headEnd);
    const [, text] = contentLength.exec(head) ?? [];
    const length = text === undefined ? 0 : parseNumber(text, limits.bodyBytes.value);
    if (length === undefined) throw lost(`a message with Content-Length "${text}"`);
    if (this.#waiting.length < found.bodyStart + length) return undefined;
    const bytes = this.#waiting.subarray(0, found.bodyStart + length);
    this.#waiting = this.#waiting.subarray(found.bodyStart + length);
    return { kind: 'message', bytes };
  }

  /** CRLF CRLF asks whether we are there, a single CRLF answers. A lone CRLF at the end may become either, and is kept. */
  #keepAlive(): StreamUnit | undefined {
    const text = this.#waiting.toString('latin1', 0, 4);
    if (text.startsWith('\r\n\r\n')) {
      this.#waiting = this.#waiting.subarray(4);
      return { kind: 'ping' };
    }
    if (text === '\r\n' || text === '\r\n\r') return undefined;
    if (text.startsWith('\r\n')) {
      this.#waiting = this.#waiting.subarray(2);
      return { kind: 'pong' };
    }
    if (text === '\r') return undefined;
    this.#waiting = this.#waiting.subarray(1);
    return this.#next();
  }
}

function lost(what: string): OffhookError {
  return new OffhookError('OFFHOOK_PROTOCOL', `SIP over a stream: ${what}`, {
    advice: 'The connection is closed; the peer may open another.',
  });
}
