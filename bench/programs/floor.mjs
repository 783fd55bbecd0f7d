// The least that the media of `clients` rooms costs in one Node thread: encode, encrypt and send, receive, decrypt and decode,
// 50 packets a second each way and client, and nothing else. Prints milliseconds of CPU per second and client, warm.
//
//   node bench/programs/floor.mjs <clients> <warmMs> <measureMs>
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';
import { Decoder } from '@evan/opus';
import { OpusEncoder } from '../../dist/audio/index.js';
import { serializeRtp } from '../../dist/rtp/index.js';
import { SrtpContext } from '../../dist/transport/srtp/index.js';

const [clients, warmMs, measureMs] = process.argv.slice(2).map(Number);
// As the programs that are measured beside it.
const sampleRate = 24_000;
const frameMs = 20;
const frameLength = (sampleRate * frameMs) / 1_000;
const tone = Int16Array.from(
  { length: sampleRate },
  (_, i) => 10_000 * Math.sin((2 * Math.PI * 440 * i) / sampleRate),
);
const headerBytes = 12;

async function openClient(index) {
  const socket = createSocket('udp4');
  await new Promise((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    socket,
    ssrc: index + 1,
    key: { key: randomBytes(16), salt: randomBytes(12) },
    encoder: new OpusEncoder({ sampleRate, numChannels: 1, bitrateBps: 24_000, dtx: true }),
    decoder: new Decoder({ sample_rate: sampleRate, channels: 1 }),
    packets: 0,
  };
}

/** Sends what `from` speaks to `to`, which decodes it. */
function connect(from, to) {
  from.srtp = new SrtpContext('AEAD_AES_128_GCM', from.key, to.key);
  const { port } = to.socket.address();
  from.speak = () => {
    const at = (from.packets * frameLength) % tone.length;
    const payload = from.encoder.encode(tone.subarray(at, at + frameLength));
    const sequenceNumber = from.packets & 0xffff;
    const timestamp = (from.packets * 960) >>> 0;
    const header = { payloadType: 111, marker: false, sequenceNumber, timestamp, ssrc: from.ssrc };
    from.packets++;
    from.socket.send(
      from.srtp.protectRtp(serializeRtp({ ...header, extensions: [] }, payload)),
      port,
      '127.0.0.1',
    );
  };
  to.socket.on('message', (packet) => {
    const rtp = to.srtp.unprotectRtp(packet);
    if (rtp) to.decoder.decode(rtp.subarray(headerBytes));
  });
}

const all = await Promise.all(Array.from({ length: clients }, (_, index) => openClient(index)));
// In pairs, as the clients that are measured; a single one speaks to itself.
all.forEach((client, index) => {
  connect(client, all[index ^ 1] ?? client);
});

let dueMs = performance.now();
let ticks = 0;
function tick() {
  while (dueMs <= performance.now()) {
    ticks++;
    dueMs += 10;
    for (let i = ticks % 2; i < all.length; i += 2) all[i].speak();
  }
  setTimeout(tick, Math.max(0, dueMs - performance.now()));
}
tick();

await delay(warmMs);
const before = { cpu: process.cpuUsage(), ms: performance.now() };
await delay(measureMs);
const { user, system } = process.cpuUsage(before.cpu);
const seconds = (performance.now() - before.ms) / 1_000;
console.log(
  JSON.stringify({
    cpuMs: (user + system) / 1_000 / seconds / clients,
    rssMb: process.memoryUsage().rss / 2 ** 20,
  }),
);
process.exit(0);
