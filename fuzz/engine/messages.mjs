// Structure-aware inputs: sequences of protobuf messages. An input is each message with its length (u16) before it.
import { ScalarType } from '@bufbuild/protobuf';
import { mutate } from './mutate.mjs';

const texts = ['', 'a', 'PA_x', 'TR_x', 'constructor', '__proto__', '../../x', '\u0000\r\n', 'é'.repeat(300)];
const bigs = [0n, 1n, 2n ** 31n, 2n ** 53n + 1n, 2n ** 63n - 1n];
const floats = [0, -0, 1, -1, 0.5, 1e39, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
const wholes = [0, 1, 2, 16, 255, 65_535, 2 ** 31 - 1];
const unsigned = new Set([ScalarType.UINT32, ScalarType.FIXED32]);
const unsignedBig = new Set([ScalarType.UINT64, ScalarType.FIXED64]);
const maxDepth = 6;

function scalar(type, context) {
  const { random, words } = context;
  switch (type) {
    case ScalarType.STRING:
      return random.once(3) && words.length > 0
        ? random.pick(words).toString('utf8')
        : random.pick([...texts, `${random.below(1e6)}`]);
    case ScalarType.BYTES:
      return random.bytes(random.below(20));
    case ScalarType.BOOL:
      return random.once(2);
    case ScalarType.FLOAT:
      return Math.fround(random.pick(floats));
    case ScalarType.DOUBLE:
      return random.pick(floats);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64: {
      const value = random.pick(bigs);
      return unsignedBig.has(type) || random.once(2) ? value : -value;
    }
    default: {
      const value = random.once(2) ? random.pick(wholes) : random.below(100);
      if (unsigned.has(type)) return random.once(8) ? 2 ** 32 - 1 : value;
      return random.once(4) ? -value - 1 : value;
    }
  }
}

function newValue(field, context, depth) {
  if (field.kind === 'message') return randomMessage(field.T, context, depth + 1);
  if (field.kind === 'enum') {
    const { values } = field.T;
    return context.random.once(4) ? context.random.below(1000) : context.random.pick(values).no;
  }
  return scalar(field.T, context);
}

function changeText(before, { random }) {
  const at = random.below(before.length + 1);
  if (random.once(8)) return before.repeat(random.pick([2, 2, 2, 3, 3, 50])).slice(0, 20_000);
  return before.slice(0, at) + random.pick(texts) + before.slice(at + random.below(8));
}

function changeList(list, field, context, depth) {
  const { random } = context;
  const at = random.below(list.length + 1);
  if (list.length === 0 || random.once(3)) {
    const times = random.once(50) ? 100 : 1;
    list.splice(at, 0, ...Array.from({ length: times }, () => newValue(field, context, depth)));
  } else if (random.below(3) === 0) list.splice(at, 1);
  else if (field.kind === 'message') changeMessage(random.pick(list), context, depth + 1);
  else list[random.below(list.length)] = newValue(field, context, depth);
}

function changeMap(map, { K, V }, context, depth) {
  const { random } = context;
  const names = K === ScalarType.STRING ? texts : ['0', '1', '255'];
  const key = random.pick([...Object.keys(map), ...names]);
  if (Object.hasOwn(map, key) && random.once(2)) delete map[key];
  else {
    // Not by assignment: `__proto__` is a key like any other.
    const value = newValue(V, context, depth);
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
  }
}

/** Changes one field of `message`, or of a message in it. */
export function changeMessage(message, context, depth = 0) {
  const { random } = context;
  const fields = message.getType().fields.list();
  if (fields.length === 0 || depth > maxDepth) return;
  const field = random.pick(fields);
  const name = field.localName;
  if (field.oneof) {
    const holder = message[field.oneof.localName];
    const isText = typeof holder.value === 'string';
    if (holder.value?.getType && !random.once(6)) changeMessage(holder.value, context, depth + 1);
    else if (isText && random.once(2)) holder.value = changeText(holder.value, context);
    else message[field.oneof.localName] = { case: name, value: newValue(field, context, depth) };
    return;
  }
  const value = message[name];
  if (field.kind === 'map') changeMap(value, field, context, depth);
  else if (field.repeated) changeList(value, field, context, depth);
  else if (value?.getType && !random.once(6)) changeMessage(value, context, depth + 1);
  else if (typeof value === 'string' && random.once(2)) message[name] = changeText(value, context);
  else
    message[name] = random.once(10) && field.opt && !field.req ? undefined : newValue(field, context, depth);
}

function randomMessage(type, context, depth = 0) {
  const message = new type();
  for (const field of type.fields.list()) {
    if (field.req) message[field.localName] = newValue(field, context, depth);
  }
  const changes = context.random.below(4);
  for (let i = 0; i < changes; i++) changeMessage(message, context, depth);
  return message;
}

/** The pieces of an input: as many as are whole. */
export function split(input) {
  const pieces = [];
  for (let at = 0; at + 2 <= input.length; ) {
    const end = at + 2 + input.readUInt16BE(at);
    if (end > input.length) break;
    pieces.push(input.subarray(at + 2, end));
    at = end;
  }
  return pieces;
}

export function join(pieces) {
  const short = pieces.filter((piece) => piece.length <= 0xffff);
  return Buffer.concat(
    short.flatMap((piece) => [Buffer.from([piece.length >> 8, piece.length & 255]), piece]),
  );
}

/** Shorter versions of a sequence of messages: without its later half, and without each of its messages, the last first. */
export function* withoutMessages(input) {
  const pieces = split(input);
  if (pieces.length > 3) yield join(pieces.slice(0, pieces.length >> 1));
  for (let at = pieces.length - 1; at >= 0; at--) yield join(pieces.toSpliced(at, 1));
}

function changeOne(piece, type, context) {
  try {
    const message = type.fromBinary(piece);
    changeMessage(message, context);
    return Buffer.from(message.toBinary());
  } catch {
    return mutate(piece, context);
  }
}

const sequenceChanges = [
  function changeBytes(pieces, at, _type, context) {
    pieces[at] = mutate(pieces[at], context);
  },
  function remove(pieces, at) {
    pieces.splice(at, 1);
  },
  function repeat(pieces, at, _type, { random }) {
    pieces.splice(random.below(pieces.length), 0, pieces[at]);
  },
  function add(pieces, at, type, context) {
    pieces.splice(at, 0, Buffer.from(randomMessage(type, context).toBinary()));
  },
  function splice(pieces, at, _type, { random, others }) {
    pieces.splice(at, 0, ...split(random.pick(others)));
  },
];

/**
 * Mutates a sequence of messages of `type`: their order, their number, their fields and, now and then, their bytes.
 *
 * @param {Buffer} input
 * @param {import('@bufbuild/protobuf').MessageType} type
 */
export function mutateMessages(input, type, context) {
  const { random } = context;
  const pieces = split(input);
  const changes = 1 + random.below(4);
  for (let i = 0; i < changes; i++) {
    const at = random.below(Math.max(1, pieces.length));
    if (pieces.length === 0) pieces.push(Buffer.from(randomMessage(type, context).toBinary()));
    else if (random.once(3)) random.pick(sequenceChanges)(pieces, at, type, context);
    else pieces[at] = changeOne(pieces[at], type, context);
  }
  return join(pieces).subarray(0, context.maxBytes);
}
