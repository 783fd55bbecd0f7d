// node bench/micro/srtp.mjs: what SRTP costs, in microseconds of CPU for a packet. Beside each stands the same
// cryptography as Node offers it, in the same run: read the ratios.
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { SrtpContext, srtpProfiles } from '../../dist/transport/srtp/index.js';
import { measure, timed } from './measure.mjs';

const packetsPerRound = 10_000;
/** A packet that a socket hands over is in the cache, too. */
const packetsAtOnce = 100;
const rtpHeaderBytes = 12;

function rtp(bytes) {
  const packet = randomBytes(bytes);
  packet[0] = 0x80;
  packet.writeUInt32BE(0x11223344, 8);
  return packet;
}

function contexts(profile) {
  const { keyBytes, saltBytes } = srtpProfiles[profile];
  const key = () => ({ key: randomBytes(keyBytes), salt: randomBytes(saltBytes) });
  const one = key();
  const other = key();
  return [new SrtpContext(profile, one, other), new SrtpContext(profile, other, one)];
}

function protectAndUnprotect(profile, bytes) {
  const [sender, receiver] = contexts(profile);
  const packet = rtp(bytes);
  let sequenceNumber = 0;
  const protectSome = (count) => {
    const sent = [];
    for (let i = 0; i < count; i++) {
      packet.writeUInt16BE(sequenceNumber++ & 0xffff, 2);
      sent.push(sender.protectRtp(packet));
    }
    return sent;
  };
  let received = 0;
  const unprotectAll = (packets) => {
    for (const sent of packets) if (receiver.unprotectRtp(sent)) received++;
  };
  const protect = measure(packetsPerRound, (count) => {
    let spentMs = 0;
    for (let done = 0; done < count; done += packetsAtOnce) {
      let sent;
      spentMs += timed(() => {
        sent = protectSome(packetsAtOnce);
      });
      unprotectAll(sent);
    }
    return spentMs;
  });
  const unprotect = measure(packetsPerRound, (count) => {
    let spentMs = 0;
    for (let done = 0; done < count; done += packetsAtOnce) {
      const sent = protectSome(packetsAtOnce);
      spentMs += timed(() => unprotectAll(sent));
    }
    return spentMs;
  });
  if (received < 16 * packetsPerRound) throw new Error('packets were lost');
  return { protect, unprotect };
}

const key = createSecretKey(randomBytes(16));

function gcm(bytes) {
  const data = randomBytes(bytes);
  const nonce = randomBytes(12);
  const encrypt = () => {
    const cipher = createCipheriv('aes-128-gcm', key, nonce);
    cipher.setAAD(data.subarray(0, rtpHeaderBytes));
    const content = cipher.update(data.subarray(rtpHeaderBytes));
    cipher.final();
    return { content, tag: cipher.getAuthTag() };
  };
  const { content, tag } = encrypt();
  return {
    protect: loop(encrypt),
    unprotect: loop(() => {
      const decipher = createDecipheriv('aes-128-gcm', key, nonce);
      decipher.setAAD(data.subarray(0, rtpHeaderBytes));
      decipher.setAuthTag(tag);
      decipher.update(content);
      decipher.final();
    }),
  };
}

function counterModeAndHmac(bytes) {
  const data = randomBytes(bytes);
  const counter = randomBytes(16);
  const authenticationKey = createSecretKey(randomBytes(20));
  const both = loop(() => {
    createCipheriv('aes-128-ctr', key, counter).update(data);
    createHmac('sha1', authenticationKey).update(data).digest();
  });
  return { protect: both, unprotect: both };
}

function loop(act) {
  return measure(packetsPerRound, (count) =>
    timed(() => {
      for (let i = 0; i < count; i++) act();
    }),
  );
}

const rows = [];
for (const profile of ['AEAD_AES_128_GCM', 'AES_CM_128_HMAC_SHA1_80'])
  for (const bytes of [120, 1200]) {
    const reference = profile === 'AEAD_AES_128_GCM' ? gcm(bytes) : counterModeAndHmac(bytes);
    const own = protectAndUnprotect(profile, bytes);
    for (const what of ['protect', 'unprotect'])
      rows.push({
        what: `${profile}, ${bytes} bytes, ${what}`,
        µs: own[what].toFixed(1),
        'cryptography alone, µs': reference[what].toFixed(1),
        ratio: (own[what] / reference[what]).toFixed(2),
      });
  }
console.table(rows);
