// Servers that accept and then say nothing. Use: node mute-server.mjs ADDRESS TCP_PORT WEBSOCKET_PORT
// On TCP_PORT a connection is accepted and never answered (TLS or HTTP); on WEBSOCKET_PORT the upgrade succeeds first.
import net from 'node:net';
import { WebSocketServer } from 'ws';

const [address, tcpPort, webSocketPort] = process.argv.slice(2);
const tcp = net.createServer((socket) => socket.on('error', () => {}).resume());
tcp.listen(Number(tcpPort), address, () => {
  new WebSocketServer({ host: address, port: Number(webSocketPort) }, () => console.log('ready'));
});
