import { limits } from '../limits.js';

/** Digits by event code (RFC 4733, section 3.2). */
const digits = '0123456789*#ABCD';
/** How long a key is held when we press it, and the pause after it. */
const toneMs = 160;
const pauseMs = 80;
export const eventIntervalMs = 20;
const endRepeats = 3;
const volumeDbm0 = 10;

export interface DtmfDigit {
  code: number;
  digit: string;
}

export function digitOfCode(code: number): string | undefined {
  return digits[code];
}

/** The code of `0`-`9`, `*`, `#`, `A`-`D`; undefined for another character. */
export function codeOfDigit(digit: string): number | undefined {
  const code = digits.indexOf(digit.toUpperCase());
  return digit.length === 1 && code >= 0 ? code : undefined;
}

/** Reads telephone events (RFC 4733), each of which comes in many packets, as one digit. */
export class DtmfReceiver {
  #lastTimestamp: number | undefined;
  #ssrc: number | undefined;

  /** @returns the digit when the packet is the first that came of its event, which survives the loss of any others */
  receive(payload: Uint8Array, timestamp: number, ssrc: number): DtmfDigit | undefined {
    if (payload.length < 4) return undefined;
    // Another source has timestamps of its own.
    if (ssrc !== this.#ssrc) this.#lastTimestamp = undefined;
    this.#ssrc = ssrc;
    const code = payload[0]!;
    const digit = digitOfCode(code);
    if (digit === undefined || timestamp === this.#lastTimestamp) return undefined;
    // A packet that was overtaken belongs to an event that was reported already.
    const isOlder = this.#lastTimestamp !== undefined && ((timestamp - this.#lastTimestamp) | 0) < 0;
    if (isOlder) return undefined;
    this.#lastTimestamp = timestamp;
    return { code, digit };
  }
}

/** What is to be sent in one step of 20 ms. */
export interface DtmfPacket {
  payload: Uint8Array;
  timestamp: number;
  marker: boolean;
  /** The same packet is sent this often: the end of an event must not be lost. */
  repeats: number;
}

/** Plays digits as telephone events, one after the other. Pure: it is asked every 20 ms what to send. */
export class DtmfSender {
  readonly #clockRate: number;
  #queue: ({ code: number } | { waitMs: number })[] = [];
  #current: { code: number; timestamp: number; elapsedMs: number } | undefined;
  #pauseMs = 0;

  constructor(clockRate: number) {
    this.#clockRate = clockRate;
  }

  /** Digits to play; `w` waits half a second (as LiveKit's `dtmf`). Other characters are left out. */
  press(text: string): void {
    for (const character of text) {
      if (this.#queue.length >= limits.waitingKeys.value) return;
      const code = codeOfDigit(character);
      if (code !== undefined) this.#queue.push({ code });
      else if (character.toLowerCase() === 'w') this.#queue.push({ waitMs: 500 });
    }
  }

  /** Whether something is being played, in whose place no audio is sent. */
  get isActive(): boolean {
    return this.#current !== undefined;
  }

  /** @param timestamp of the audio frame in whose place the packet is sent */
  step(timestamp: number): DtmfPacket | undefined {
    if (this.#pauseMs > 0) {
      this.#pauseMs -= eventIntervalMs;
      return undefined;
    }
    const begins = !this.#current && this.#begin(timestamp);
    const current = this.#current;
    if (!current) return undefined;
    current.elapsedMs += eventIntervalMs;
    const ends = current.elapsedMs >= toneMs;
    const payload = eventPayload(current.code, ends, (current.elapsedMs * this.#clockRate) / 1_000);
    if (ends) {
      this.#current = undefined;
      this.#pauseMs = pauseMs;
    }
    return { payload, timestamp: current.timestamp, marker: begins, repeats: ends ? endRepeats : 1 };
  }

  #begin(timestamp: number): boolean {
    const next = this.#queue.shift();
    if (!next) return false;
    if ('waitMs' in next) {
      this.#pauseMs = next.waitMs - eventIntervalMs;
      return false;
    }
    this.#current = { code: next.code, timestamp, elapsedMs: 0 };
    return true;
  }
}

function eventPayload(code: number, ends: boolean, durationUnits: number): Uint8Array {
  const payload = Buffer.alloc(4);
  payload[0] = code;
  payload[1] = (ends ? 0x80 : 0) | volumeDbm0;
  payload.writeUInt16BE(Math.min(0xffff, durationUnits), 2);
  return payload;
}

/** A digit from the body of an INFO (application/dtmf-relay, application/dtmf), which older systems send. */
export function digitOfInfo(contentType: string, body: Buffer): DtmfDigit | undefined {
  const text = body.toString('latin1', 0, 200);
  const digit =
    contentType === 'application/dtmf-relay'
      ? /^\s*Signal\s*=\s*([0-9A-D*#]+)/im.exec(text)?.[1]
      : contentType === 'application/dtmf'
        ? text.trim()
        : undefined;
  if (digit === undefined) return undefined;
  const code = digit.length === 1 ? codeOfDigit(digit) : Number(digit);
  const found = code === undefined ? undefined : digitOfCode(code);
  return found === undefined ? undefined : { code: code!, digit: found };
}
