// A name server for one zone. Use: node dns-server.mjs ADDRESS '{"rooms.test": ["10.88.2.2", "fd88:2::2"]}'
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import packet from 'dns-packet';

const [address, zoneJson] = process.argv.slice(2);
const zone = JSON.parse(zoneJson);
const socket = dgram.createSocket('udp4');

socket.on('message', (message, from) => {
  const query = packet.decode(message);
  const { name, type } = query.questions[0];
  const known = zone[name.toLowerCase()];
  const answers = (known ?? [])
    .filter((data) => type === (isIPv6(data) ? 'AAAA' : 'A'))
    .map((data) => ({ type, name, ttl: 1, data }));
  const reply = packet.encode({
    type: 'response',
    id: query.id,
    flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | (known ? 0 : 3),
    questions: query.questions,
    answers,
  });
  socket.send(reply, from.port, from.address);
});
socket.bind(53, address, () => console.log('ready'));
