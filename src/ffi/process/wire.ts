import { OffhookError } from '../../errors/index.js';
import type { SessionToLeave } from '../../room/index.js';
import type { Attachment, LentBuffer, RoomSession } from '../wire.js';

/*
 * What the engine and liboffhook_ffi say to each other; native/wire.h is the other end and explains it. A message is a
 * header (u32 bytes of the body, u32 type, u64 id) and a body. Numbers are little-endian.
 */
export const wireVersion = 3;
const magic = 0x4b48464f;
const headerBytes = 16;
const helloBytes = 40;
export const prefaceBytes = 16;
const maxMessageBytes = 256 * 2 ** 20;

export const fromProgram = { hello: 1, request: 2, drop: 3, free: 4, dispose: 5, leave: 6 } as const;
export const toProgram = { answer: 16, event: 17, dropped: 18, owed: 19, settled: 20, session: 21 } as const;

export interface Message {
  type: number;
  id: number;
  body: Buffer;
}

/** Reads whole messages from a stream of bytes. A message is a view of what was pushed wherever that is possible. */
export class MessageReader {
  /** The beginning of a message, in the pieces that it came in: they are put together once, when it is whole. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** What the message takes, or its header as long as that is not whole. */
  #neededBytes = headerBytes;

  /** @throws OffhookError `OFFHOOK_PROTOCOL` */
  *push(chunk: Buffer): Generator<Message> {
    this.#rest.push(chunk);
    this.#restBytes += chunk.length;
    if (this.#restBytes < this.#neededBytes) return;
    let bytes = this.#rest.length === 1 ? chunk : Buffer.concat(this.#rest, this.#restBytes);
    this.#keep(Buffer.alloc(0), headerBytes);
    let neededBytes = headerBytes;
    while (bytes.length >= headerBytes) {
      const length = bytes.readUInt32LE(0);
      if (length > maxMessageBytes) throw malformed(`a message of ${length} bytes`);
      neededBytes = headerBytes + length;
      if (bytes.length < neededBytes) break;
      yield {
        type: bytes.readUInt32LE(4),
        id: Number(bytes.readBigUInt64LE(8)),
        body: bytes.subarray(headerBytes, headerBytes + length),
      };
      bytes = bytes.subarray(neededBytes);
      neededBytes = headerBytes;
    }
    this.#keep(bytes, neededBytes);
  }

  #keep(bytes: Buffer, neededBytes: number): void {
    this.#rest = bytes.length > 0 ? [bytes] : [];
    this.#restBytes = bytes.length;
    this.#neededBytes = neededBytes;
  }
}

export interface Preface {
  /** 0: requests, 1: events. */
  channel: number;
  /** The same on both channels of a program. */
  program: bigint;
}

/** What a channel to a listening engine begins with. @throws OffhookError `OFFHOOK_PROTOCOL` */
export function readPreface(bytes: Buffer): Preface {
  if (bytes.length !== prefaceBytes || bytes.readUInt32LE(0) !== magic) throw malformed('no preface');
  const channel = bytes.readUInt32LE(4);
  if (channel > 1) throw malformed(`channel ${channel}`);
  return { channel, program: bytes.readBigUInt64LE(8) };
}

export interface Hello {
  captureLogs: boolean;
  arenaAddress: number;
  arenaBytes: number;
  /** Handles are above this one: the program may still drop those of an engine that is gone. */
  handlesAbove: number;
  processId: number;
  sdk: string;
  sdkVersion: string;
}

/** @throws OffhookError `OFFHOOK_PROTOCOL` */
export function readHello(body: Buffer): Hello {
  const version = body.length >= helloBytes ? body.readUInt32LE(0) : 0;
  if (version !== wireVersion) {
    throw malformed(
      `version ${version}, and this engine speaks ${wireVersion}: library and engine must be of one release`,
    );
  }
  const sdkBytes = body.readUInt32LE(36);
  return {
    captureLogs: body.readUInt32LE(4) !== 0,
    arenaAddress: Number(body.readBigUInt64LE(8)),
    arenaBytes: Number(body.readBigUInt64LE(16)),
    handlesAbove: Number(body.readBigUInt64LE(24)),
    processId: body.readUInt32LE(32),
    sdk: body.toString('utf8', helloBytes, helloBytes + sdkBytes),
    sdkVersion: body.toString('utf8', helloBytes + sdkBytes),
  };
}

export interface ProgramRequest {
  request: Uint8Array;
  /** The memory that the request points to. */
  memory: Attachment[];
  /** Variables of the program for the host of a filter that the request loads. */
  environment: Record<string, string> | undefined;
}

/** @throws OffhookError `OFFHOOK_PROTOCOL` */
export function readRequest(body: Buffer): ProgramRequest {
  const requestBytes = body.length >= 16 ? body.readUInt32LE(0) : Number.POSITIVE_INFINITY;
  const memoryEnd = 16 + requestBytes + (body.length >= 16 ? body.readUInt32LE(4) : 0);
  if (memoryEnd > body.length) throw malformed('a request that is longer than its message');
  const memory = body.subarray(16 + requestBytes, memoryEnd);
  return {
    request: plain(body.subarray(16, 16 + requestBytes)),
    memory: memory.length > 0 ? [{ address: Number(body.readBigUInt64LE(8)), bytes: plain(memory) }] : [],
    environment: body.length > memoryEnd ? readEnvironment(body.toString('utf8', memoryEnd)) : undefined,
  };
}

/** `NAME=value` pairs, each ended by a zero. */
function readEnvironment(pairs: string): Record<string, string> {
  const entries = pairs
    .split('\0')
    .filter((pair) => pair.includes('='))
    .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]);
  return Object.fromEntries(entries);
}

/** The same bytes without what Buffer changes: its `slice` is a view. */
function plain(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** @throws OffhookError `OFFHOOK_PROTOCOL` */
export function readHandles(body: Buffer): number[] {
  if (body.length % 8 !== 0) throw malformed('handles that are no handles');
  return Array.from({ length: body.length / 8 }, (_, i) => Number(body.readBigUInt64LE(i * 8)));
}

export interface AnswerParts {
  bytes: Uint8Array;
  failed?: boolean;
  buffers?: readonly LentBuffer[];
  writes?: readonly Attachment[];
}

/** An answer or an event. Runs for every frame: it makes one buffer and copies what it carries once. */
export function encodeAnswer(type: number, id: number, parts: AnswerParts): Buffer {
  const { bytes, failed = false, buffers = [], writes = [] } = parts;
  let length = headerBytes + 16 + bytes.length;
  for (const buffer of buffers) length += 24 + buffer.bytes.length;
  for (const write of writes) length += 16 + write.bytes.length;
  const message = Buffer.allocUnsafe(length);
  let at = writeHeader(message, length - headerBytes, type, id);
  at = message.writeUInt32LE(failed ? 1 : 0, at);
  at = message.writeUInt32LE(bytes.length, at);
  at = message.writeUInt32LE(buffers.length, at);
  at = message.writeUInt32LE(writes.length, at);
  for (const { address, handle, bytes: content, holds } of buffers) {
    at = writeUint64(message, address, at);
    at = writeUint64(message, handle, at);
    at = message.writeUInt32LE(content.length, at);
    at = message.writeUInt32LE(holds === 'own' ? 1 : 0, at);
  }
  for (const { address, bytes: content } of writes) {
    at = writeUint64(message, address, at);
    at = writeUint64(message, content.length, at);
  }
  message.set(bytes, at);
  at += bytes.length;
  for (const { bytes: content } of [...buffers, ...writes]) {
    message.set(content, at);
    at += content.length;
  }
  return message;
}

export function encodeNote(type: number, id: number): Buffer {
  const message = Buffer.allocUnsafe(headerBytes);
  writeHeader(message, 0, type, id);
  return message;
}

/** Events that the program gets should the engine be lost. */
export function encodeOwed(id: number, events: readonly Uint8Array[]): Buffer {
  const length = events.reduce((sum, event) => sum + 4 + event.length, headerBytes);
  const message = Buffer.allocUnsafe(length);
  let at = writeHeader(message, length - headerBytes, toProgram.owed, id);
  for (const event of events) {
    at = message.writeUInt32LE(event.length, at);
    message.set(event, at);
    at += event.length;
  }
  return message;
}

/** What the library gives to another engine should this one be lost; nothing when the room is over. */
export function encodeSession({ id, session }: RoomSession): Buffer {
  const body = session ? Buffer.from(JSON.stringify(session)) : Buffer.alloc(0);
  const message = Buffer.allocUnsafe(headerBytes + body.length);
  body.copy(message, writeHeader(message, body.length, toProgram.session, id));
  return message;
}

/** A session of a former engine. @throws OffhookError `OFFHOOK_PROTOCOL` */
export function readSession(body: Buffer): SessionToLeave {
  let session: Partial<SessionToLeave> | null;
  try {
    session = JSON.parse(body.toString());
  } catch {
    throw malformed('a session that is no JSON');
  }
  const { url, token, participantSid, isSingle } = session ?? {};
  if (typeof url !== 'string' || typeof token !== 'string' || typeof participantSid !== 'string')
    throw malformed('a session that is none');
  return { url, token, participantSid, isSingle: isSingle === true };
}

function writeHeader(message: Buffer, bodyBytes: number, type: number, id: number): number {
  message.writeUInt32LE(bodyBytes, 0);
  message.writeUInt32LE(type, 4);
  return writeUint64(message, id, 8);
}

/** Addresses and handles are below 2^53. */
function writeUint64(message: Buffer, value: number, at: number): number {
  message.writeUInt32LE(value % 2 ** 32, at);
  return message.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

function malformed(what: string): OffhookError {
  return new OffhookError('OFFHOOK_PROTOCOL', `the C library sent ${what}`);
}
