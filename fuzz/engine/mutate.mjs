// Changes to bytes that know nothing of their meaning.

const interestingNumbers = [
  0, 1, 7, 8, 15, 16, 31, 32, 63, 64, 127, 128, 255, 256, 511, 512, 1023, 1024, 4095, 4096, 16_383, 32_767,
  32_768, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
];

const interestingDecimals = [
  '0',
  '-1',
  '1',
  '65535',
  '65536',
  '2147483648',
  '4294967296',
  '9007199254740993',
  '1e309',
  '',
];

function replace(bytes, from, to, replacement) {
  return Buffer.concat([bytes.subarray(0, from), replacement, bytes.subarray(to)]);
}

function range(bytes, random) {
  const from = random.below(bytes.length + 1);
  const longest = Math.min(bytes.length - from, random.pick([1, 2, 4, 8, 32, 128, 4096]));
  return [from, from + random.below(longest + 1)];
}

function writeNumber(bytes, random) {
  const width = random.pick([1, 2, 3, 4]);
  if (bytes.length < width) return bytes;
  const changed = Buffer.from(bytes);
  const at = random.below(bytes.length - width + 1);
  const big = random.once(2);
  const before = big ? bytes.readUIntBE(at, width) : bytes.readUIntLE(at, width);
  const step = random.below(35) - 17;
  const number = random.once(2) ? random.pick(interestingNumbers) : before + step;
  const fitting = ((number % 2 ** (8 * width)) + 2 ** (8 * width)) % 2 ** (8 * width);
  if (big) changed.writeUIntBE(fitting, at, width);
  else changed.writeUIntLE(fitting, at, width);
  return changed;
}

const mutations = [
  function flipBit(bytes, { random }) {
    if (bytes.length === 0) return bytes;
    const changed = Buffer.from(bytes);
    changed[random.below(bytes.length)] ^= 1 << random.below(8);
    return changed;
  },
  function setByte(bytes, { random }) {
    if (bytes.length === 0) return bytes;
    const changed = Buffer.from(bytes);
    changed[random.below(bytes.length)] = random.below(256);
    return changed;
  },
  (bytes, { random }) => writeNumber(bytes, random),
  (bytes, { random }) => writeNumber(bytes, random),
  function remove(bytes, { random }) {
    return replace(bytes, ...range(bytes, random), Buffer.alloc(0));
  },
  function cutShort(bytes, { random }) {
    return bytes.subarray(0, random.below(bytes.length + 1));
  },
  function insert(bytes, { random }) {
    const at = random.below(bytes.length + 1);
    return replace(bytes, at, at, random.bytes(1 + random.below(8)));
  },
  function repeat(bytes, { random, maxBytes }) {
    const [from, to] = range(bytes, random);
    if (from === to) return bytes;
    const room = Math.max(1, Math.floor((maxBytes - bytes.length) / (to - from)));
    const times = random.once(8) ? room : 1 + random.below(Math.min(room, 16));
    return replace(bytes, to, to, Buffer.concat(new Array(times).fill(bytes.subarray(from, to))));
  },
  function writeWord(bytes, { random, words }) {
    if (words.length === 0) return bytes;
    const [from, to] = range(bytes, random);
    return replace(bytes, from, random.once(2) ? from : to, random.pick(words));
  },
  function writeDecimal(bytes, { random }) {
    const numbers = [...bytes.toString('latin1').matchAll(/\d+/g)];
    if (numbers.length === 0) return bytes;
    const { index, 0: digits } = random.pick(numbers);
    return replace(bytes, index, index + digits.length, Buffer.from(random.pick(interestingDecimals)));
  },
  function splice(bytes, { random, others }) {
    const other = random.pick(others);
    const [from, to] = range(other, random);
    return replace(bytes, ...range(bytes, random), other.subarray(from, to));
  },
  function moveRange(bytes, { random }) {
    const [from, to] = range(bytes, random);
    const rest = replace(bytes, from, to, Buffer.alloc(0));
    const at = random.below(rest.length + 1);
    return replace(rest, at, at, bytes.subarray(from, to));
  },
];

/**
 * A changed copy of `bytes`.
 *
 * @param {Buffer} bytes
 * @param {{ random: import('./random.mjs').Random, words: Buffer[], others: Buffer[], maxBytes: number }} context
 *   `words`: what the code compares with. `others`: inputs to take pieces from
 */
export function mutate(bytes, context) {
  let changed = bytes;
  const changes = 1 << context.random.below(5);
  for (let i = 0; i < changes; i++) changed = context.random.pick(mutations)(changed, context);
  return changed.subarray(0, context.maxBytes);
}
