// Carries UDP and TCP to a server with delay and jitter. Use: node relay.mjs SERVER PORT LISTEN DELAY_MS JITTER_MS
// Order within a TCP connection is kept; UDP packets may overtake one another, as jitter makes them do.
import dgram from 'node:dgram';
import net from 'node:net';

const [host, ...numbers] = process.argv.slice(2);
const [port, listenPort, delayMs, jitterMs] = numbers.map(Number);
const later = (act) => setTimeout(act, delayMs + Math.random() * jitterMs);

const upstream = new Map();
const front = dgram.createSocket('udp4', (message, client) => {
  const key = `${client.address}:${client.port}`;
  let socket = upstream.get(key);
  if (!socket) {
    socket = dgram.createSocket('udp4', (reply) =>
      later(() => front.send(reply, client.port, client.address)),
    );
    upstream.set(key, socket);
  }
  later(() => socket.send(message, port, host));
});

function pipeLate(from, to) {
  let lastAtMs = 0;
  const inOrder = (act) => {
    lastAtMs = Math.max(lastAtMs, performance.now() + delayMs + Math.random() * jitterMs);
    setTimeout(act, lastAtMs - performance.now());
  };
  from.on('data', (chunk) => inOrder(() => to.write(chunk)));
  from.on('end', () => inOrder(() => to.end()));
  from.on('error', () => to.destroy());
}

const tcp = net.createServer((client) => {
  const server = net.connect(port, host);
  pipeLate(client, server);
  pipeLate(server, client);
});

front.bind(listenPort, () => tcp.listen(listenPort, () => console.log('ready')));
