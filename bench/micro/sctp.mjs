// node bench/micro/sctp.mjs: what SCTP and data channels cost, in microseconds of CPU for a message, both ends and all
// acknowledgements together, without DTLS and sockets. Beside each stands a copy of as many bytes, in the same run.
import { DataChannels } from '../../dist/transport/sctp/index.js';
import { measure, timed } from './measure.mjs';

/** Two ends in one process, which hand each other their packets. */
function connect() {
  const queue = [];
  const counted = { messages: 0, packets: 0 };
  const incoming = [];
  const ends = [0, 1].map(
    (side) =>
      new DataChannels({
        localPort: 5000,
        remotePort: 5000,
        maxMessageBytes: 262_144,
        now: () => performance.now(),
        onPacket: (packet) => {
          counted.packets++;
          queue.push(1 - side, Buffer.from(packet));
        },
        onChannel: (channel) => incoming.push(channel),
      }),
  );
  const deliver = () => {
    for (let i = 0; i < queue.length; i += 2) ends[queue[i]].handlePacket(queue[i + 1], performance.now());
    queue.length = 0;
    for (const end of ends)
      if (end.nextTimeoutMs !== undefined && end.nextTimeoutMs <= performance.now())
        end.handleTimeout(performance.now());
  };
  const channel = ends[0].create('bench');
  ends[0].start('client', performance.now());
  ends[1].start('server', performance.now());
  while (queue.length > 0) deliver();
  return { channel, far: incoming[0], deliver, counted };
}

function oneWay(bytes, count) {
  const { channel, far, deliver, counted } = connect();
  const message = Buffer.alloc(bytes, 1);
  let received = 0;
  far.onMessage = () => {
    received++;
  };
  const us = measure(count, (messages) =>
    timed(() => {
      const until = received + messages;
      let sent = 0;
      while (received < until) {
        while (sent < messages && channel.bufferedAmount < 100_000) {
          channel.send(message);
          sent++;
        }
        deliver();
      }
    }),
  );
  return { us, packetsPerMessage: counted.packets / received };
}

/** One message that is answered at once. */
function roundTrip(bytes, count) {
  const { channel, far, deliver, counted } = connect();
  const message = Buffer.alloc(bytes, 1);
  let received = 0;
  far.onMessage = (bytes) => far.send(bytes);
  channel.onMessage = () => {
    received++;
  };
  const us = measure(count, (messages) =>
    timed(() => {
      for (let i = 0; i < messages; i++) {
        const until = received + 1;
        channel.send(message);
        while (received < until) deliver();
      }
    }),
  );
  return { us, packetsPerMessage: counted.packets / received };
}

function copy(bytes, count) {
  const message = Buffer.alloc(bytes, 1);
  return measure(count, (messages) =>
    timed(() => {
      for (let i = 0; i < messages; i++) Buffer.from(message);
    }),
  );
}

const rows = [];
for (const [what, run, bytes, count] of [
  ['message of 100 bytes', oneWay, 100, 20_000],
  ['message of 1,100 bytes', oneWay, 1_100, 20_000],
  ['message of 15,000 bytes', oneWay, 15_000, 2_000],
  ['question and answer of 200 bytes', roundTrip, 200, 10_000],
]) {
  const { us, packetsPerMessage } = run(bytes, count);
  rows.push({
    what,
    µs: us.toFixed(1),
    packets: packetsPerMessage.toFixed(2),
    'MB/s of one core': (bytes / us).toFixed(1),
    'copy, µs': copy(bytes, count).toFixed(2),
  });
}
console.table(rows);
