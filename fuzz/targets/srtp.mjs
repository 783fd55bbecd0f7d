import { OffhookError } from '../../dist/errors/index.js';
import { SrtpContext, srtpProfiles } from '../../dist/transport/srtp/index.js';
import { check, refusesWith } from '../engine/target.mjs';

const profiles = Object.keys(srtpProfiles);

function keyOf(profile, fill) {
  const { keyBytes, saltBytes } = srtpProfiles[profile];
  return { key: Buffer.alloc(keyBytes, fill), salt: Buffer.alloc(saltBytes, fill + 1) };
}

/** One packet each way: `act` on the sender, `back` on the receiver. */
function roundTrip(sender, receiver, packet, [protect, unprotect]) {
  const sent = refusesWith([OffhookError], () => sender[protect](packet));
  if (sent === undefined) return;
  check(sent.length > packet.length, 'a tag is added');
  const received = receiver[unprotect](Buffer.from(sent));
  check(received?.equals(packet) === true, 'what is protected comes back');
  check(receiver[unprotect](Buffer.from(sent)) === undefined, 'it comes back once');
}

export default {
  about: 'RTP and RTCP packets to encrypt and to decrypt, with every SRTP profile',
  maxBytes: 1500,
  seeds: () => [
    Buffer.from('00800000010000000011223344616263', 'hex'),
    Buffer.from('019200070000000000112233440000000100000002bede000110aa00006162', 'hex'),
    Buffer.from('0280c80006112233440000000000000000000000000000000000000000', 'hex'),
  ],
  /** The first byte chooses the profile. */
  run(input) {
    const profile = profiles[(input[0] ?? 0) % profiles.length];
    const packet = Buffer.from(input.subarray(1));
    const sender = new SrtpContext(profile, keyOf(profile, 1), keyOf(profile, 3));
    const receiver = new SrtpContext(profile, keyOf(profile, 3), keyOf(profile, 1));
    check(receiver.unprotectRtp(Buffer.from(packet)) === undefined, 'no RTP without its keys');
    check(receiver.unprotectRtcp(Buffer.from(packet)) === undefined, 'no RTCP without its keys');
    check(receiver.receivedStreamCount === 0, 'nothing is kept of what is not authentic');
    roundTrip(sender, receiver, packet, ['protectRtp', 'unprotectRtp']);
    roundTrip(sender, receiver, packet, ['protectRtcp', 'unprotectRtcp']);
  },
};
