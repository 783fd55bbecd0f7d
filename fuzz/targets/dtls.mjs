import { generateCertificate } from '../../dist/transport/certificate.js';
import { DtlsConnection } from '../../dist/transport/dtls/index.js';
import { MessageAssembler } from '../../dist/transport/dtls/message-assembler.js';
import { join, split, withoutMessages } from '../engine/messages.mjs';
import { check } from '../engine/target.mjs';

const certificates = { client: generateCertificate('client'), server: generateCertificate('server') };
const peerOf = { client: 'server', server: 'client' };

/** Two ends whose datagrams are delivered by hand. */
function makePair() {
  const queue = [];
  const sides = {};
  for (const role of ['client', 'server']) {
    const side = { connected: 0, closed: 0, data: [] };
    side.connection = new DtlsConnection({
      role,
      certificate: certificates[role],
      remoteFingerprints: [certificates[peerOf[role]].fingerprint],
      onDatagram: (datagram) => queue.push({ to: peerOf[role], datagram }),
      onConnected: () => {
        side.connected++;
      },
      onData: (data) => side.data.push(data.length),
      onClosed: () => {
        side.closed++;
      },
    });
    sides[role] = side;
    side.connection.start(0);
  }
  const deliver = (datagrams) => {
    for (let count = 0; count < datagrams && queue.length > 0; count++) {
      const { to, datagram } = queue.shift();
      sides[to].connection.handleDatagram(datagram, count);
    }
  };
  return { sides, queue, deliver };
}

/** Every datagram of a handshake, as inputs for either role after as many others as came before it. */
function recorded() {
  const { queue, deliver } = makePair();
  const inputs = [];
  for (let before = 0; queue.length > 0 && before < 4; before++) {
    const { to, datagram } = queue[0];
    inputs.push(Buffer.concat([Buffer.of(to === 'client' ? 0 : 1, before), join([datagram])]));
    inputs.push(Buffer.concat([Buffer.of(to === 'client' ? 0 : 1, 4), join([datagram])]));
    deliver(1);
  }
  return inputs;
}

/** The assembler alone gets pieces of either epoch. */
function assemble(contents) {
  const assembler = new MessageAssembler();
  contents.forEach((content, index) => {
    assembler.add(content, index % 2);
    const message = assembler.next();
    if (message === undefined) return;
    check(message.raw.length === 12 + message.body.length, 'a message is its header and its body');
    if (message.type === 1) assembler.accept();
    else assembler.reject();
  });
}

export default {
  about: 'datagrams of somebody who is not the peer, at every point of a DTLS connection',
  maxBytes: 4096,
  shorten: withoutMessages,
  words: [0xfefd, 0xfeff],
  seeds: recorded,
  /** The first byte chooses a role, the second after how many genuine datagrams the others come. */
  run(input) {
    const [role = 0, before = 0] = input;
    const datagrams = split(input.subarray(2));
    const { sides, deliver } = makePair();
    const victim = sides[role % 2 === 0 ? 'client' : 'server'];
    deliver(before % 5);
    const isUp = sides.client.connected + sides.server.connected === 2;
    for (const datagram of datagrams) victim.connection.handleDatagram(datagram, 10);
    check(victim.data.length === 0, 'nothing that is not authentic is data');
    check(victim.closed === 0, 'nobody else closes it');
    if (isUp) {
      deliver(1_000);
      check(victim.connection.isConnected, 'a connection stays');
    }
    for (const { connection } of Object.values(sides)) {
      connection.handleTimeout(100);
      connection.close();
      check(connection.nextTimeoutMs === undefined, 'nothing is left to wait for');
    }
    assemble(datagrams);
  },
};
