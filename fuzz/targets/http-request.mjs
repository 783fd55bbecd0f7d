import { once } from 'node:events';
import { connect } from 'node:net';
import { CreateRoomRequest, Room } from '@livekit/protocol';
import { method, twirpHandler } from '../../dist/server/api/twirp.js';
import { readClientOptions } from '../../dist/server/client-options.js';
import { HttpError } from '../../dist/server/http-error.js';
import { HttpListener } from '../../dist/server/http-listener.js';
import { HttpRouter } from '../../dist/server/http-router.js';
import { readJoinRequest } from '../../dist/server/join-request.js';
import { check } from '../engine/target.mjs';

const grants = { roomCreate: true, roomJoin: true, room: 'r' };
const services = {
  'livekit.RoomService': { CreateRoom: method(CreateRoomRequest, ({ name }) => new Room({ name })) },
};
const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n';
const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
const request = (...lines) => Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
/** Longer than any answer takes: the client hangs up when it has the beginning of one. */
const patienceMs = 300;

let listener;
let port;

function open() {
  const router = new HttpRouter()
    .page('/', () => ({ contentType: 'text/plain', body: 'OK' }))
    .page('/rtc/validate', ({ query, address }) => {
      readClientOptions(query, address, { strict: true });
      return { contentType: 'text/plain', body: 'success' };
    })
    .post(
      '/twirp/',
      twirpHandler(services, {
        verify: async (token) => {
          if (token !== 'good') throw new HttpError(401, 'invalid token');
          return { apiKey: 'k', grants };
        },
        paceOf: () => undefined,
      }),
    );
  const admission = { admit() {}, serve: (socket) => socket.terminate() };
  return new HttpListener(
    router,
    {
      '/rtc': async ({ query, address }) => {
        readClientOptions(query, address);
        return admission;
      },
      '/rtc/v1': async ({ query, address }) => {
        readJoinRequest(query, address);
        return admission;
      },
    },
    { headerMs: 200, requestMs: 250, checkMs: 50 },
  );
}

export default {
  about: "bytes on the room server's TCP port: request lines, queries, headers, upgrades, bodies",
  maxBytes: 2048,
  words: [
    'GET /rtc?access_token=good HTTP/1.1\r\n',
    'POST /twirp/livekit.RoomService/CreateRoom HTTP/1.1\r\n',
    upgrade,
    key,
    'Authorization: Bearer good\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Content-Length: ',
    'Expect: 100-continue\r\n',
    'Upgrade: h2c\r\n',
    '%00',
    'constructor',
    '/rtc/validate?attributes=',
  ],
  seeds: () => [
    request('GET / HTTP/1.1', 'Host: x'),
    request('GET //rtc/validate?attributes=e30&client_protocol=9 HTTP/1.1', 'Host: x'),
    request('GET /rtc?access_token=a&attributes=e30 HTTP/1.1', 'Host: x', (upgrade + key).trimEnd()),
    request('GET /rtc/v1?join_request=CgA= HTTP/1.1', 'Host: x', (upgrade + key).trimEnd()),
    request(
      'GET / HTTP/1.1',
      'Host: x',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: A',
    ),
    Buffer.concat([
      request(
        'POST /twirp/livekit.RoomService/CreateRoom HTTP/1.1',
        'Host: x',
        'Authorization: Bearer good',
        'Content-Type: application/json',
        'Content-Length: 12',
      ),
      Buffer.from('{"name":"a"}'),
    ]),
    Buffer.concat([
      request(
        'POST /twirp/livekit.RoomService/CreateRoom HTTP/1.1',
        'Host: x',
        'Authorization: Bearer good',
        'Transfer-Encoding: chunked',
      ),
      Buffer.from('2\r\n\n\0\r\n0\r\n\r\n'),
    ]),
    request('OPTIONS /twirp/x HTTP/1.1', 'Host: x', 'Origin: http://y', 'Expect: 100-continue'),
  ],
  async setUp() {
    listener = open();
    port = await listener.listen(0, '127.0.0.1');
  },
  tearDown: () => listener.close(),
  async run(input) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    const ended = once(socket, 'close');
    const giveUp = setTimeout(() => socket.destroy(), patienceMs);
    let answer = '';
    socket.on('data', (bytes) => {
      answer += bytes.toString('latin1');
      socket.end();
    });
    socket.end(input);
    await ended;
    clearTimeout(giveUp);
    // What comes first is an answer of ours or of Node's parser; a fault of ours would be 500.
    check(
      answer === '' || /^HTTP\/1\.1 [1-5]\d\d /.test(answer),
      `an answer begins as one: ${answer.slice(0, 80)}`,
    );
    check(!answer.startsWith('HTTP/1.1 500'), 'no request is answered with 500');
  },
};
