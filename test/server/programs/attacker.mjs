// A hostile client of the room server, in a process of its own: `attacker.mjs ATTACK URL RTC_PORT`. Prints a line of JSON
// when it is over: what the server answered, where that matters.
import { createHmac, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import {
  AddTrackRequest,
  SessionDescription,
  SignalRequest,
  SignalResponse,
  TrickleRequest,
} from '@livekit/protocol';
import { WebSocket } from 'ws';

const [attack, url, rtcPort] = process.argv.slice(2);
const { port } = new URL(url);

function sign(claims, secret = 'secret') {
  const nowS = Math.floor(Date.now() / 1000);
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const body = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ iss: 'devkey', nbf: nowS - 60, exp: nowS + 600, ...claims })}`;
  return `${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}

const joinToken = (room, identity, grant = {}) =>
  sign({ sub: identity, video: { roomJoin: true, room, ...grant } });
const joinUrl = (token) =>
  `${url}/rtc?${new URLSearchParams({ access_token: token, protocol: '16', sdk: 'js' })}`;

/** Joins a room; resolves with the socket when the server has answered. */
async function join(room, identity, grant) {
  const socket = new WebSocket(joinUrl(joinToken(room, identity, grant)));
  socket.on('error', () => {});
  await new Promise((resolve, reject) => {
    socket.once('message', resolve);
    socket.once('close', () => reject(new Error(`${identity} was not let in`)));
  });
  return socket;
}

/** HTTP status of a wish to join. */
async function joinStatus(token) {
  const socket = new WebSocket(joinUrl(token));
  socket.on('error', () => {});
  const status = await new Promise((resolve) => {
    socket.on('open', () => resolve(101));
    socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode));
    socket.on('close', () => resolve(0));
  });
  socket.terminate();
  return status;
}

async function apiStatus(method, token, body) {
  const { status } = await fetch(`http://127.0.0.1:${port}/twirp/livekit.RoomService/${method}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return status;
}

const send = (socket, message) => socket.send(new SignalRequest({ message }).toBinary());
const isOpen = (socket) => socket.readyState === WebSocket.OPEN;
const closed = (socket) => (isOpen(socket) ? once(socket, 'close') : Promise.resolve());

/** `count` acts, at most `atOnce` of them under way. */
async function inTurns(count, atOnce, act) {
  let next = 0;
  const worker = async () => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function openTcp(text) {
  const socket = connect(Number(port), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

function tally(values) {
  const counts = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

const attacks = {
  async halfOpenConnections() {
    const heads = [
      '',
      'GET /rtc HTTP/1.1\r\nHost: ',
      'POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\n',
    ];
    const sockets = [];
    await inTurns(500, 50, async (i) => sockets.push(await openTcp(heads[i % heads.length])));
    for (let i = 0; i < 20; i++) {
      for (const socket of sockets) socket.write('x');
      await delay(50);
    }
    for (const socket of sockets) socket.destroy();
  },

  /** Thousands of requests in one piece, whose answers nobody reads; without a token. */
  async pipelinedRequests() {
    const requests = Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2_000));
    await inTurns(100, 20, async () => {
      const socket = await openTcp(requests);
      socket.resume();
      await once(socket, 'close');
    });
  },

  /** Pings of workers that read no answers. */
  async pings() {
    const token = sign({ video: { agent: true } });
    const sockets = [];
    await inTurns(10, 10, async () => {
      const socket = new WebSocket(`${url}/agent`, { headers: { authorization: `Bearer ${token}` } });
      socket.on('error', () => {});
      await once(socket, 'open');
      socket.pause();
      sockets.push(socket);
    });
    for (let i = 0; i < 200; i++) {
      for (const socket of sockets) for (let j = 0; j < 100; j++) socket.ping(Buffer.alloc(125));
      await delay(10);
    }
    for (const socket of sockets) socket.terminate();
  },

  /** Offers with words as long as descriptions may be. */
  async longWords() {
    const long = 'x'.repeat(70_000);
    const words = { 'ice-ufrag': 'abcd', 'ice-pwd': 'abcdefghijklmnopqrstuvwx', mid: '0', setup: 'actpass' };
    const fingerprint = `sha-256 ${Array(32).fill('AB').join(':')}`;
    for (const word of Object.keys(words)) {
      const socket = await join('long', `long ${word}`);
      const lines = Object.entries({ ...words, [word]: long }).map(([name, value]) => `a=${name}:${value}`);
      const sdp = [
        'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0',
        'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
        'c=IN IP4 0.0.0.0',
        `a=fingerprint:${fingerprint}`,
        ...lines,
        'a=candidate:1 1 udp 1 127.0.0.1 40000 typ host',
        '',
      ].join('\r\n');
      send(socket, { case: 'offer', value: new SessionDescription({ type: 'offer', sdp }) });
      await delay(500);
      socket.terminate();
    }
  },

  /** WebSockets whose frames arrive byte by byte, and of which half never end. */
  async slowWriters() {
    const sockets = [];
    await inTurns(100, 20, async (i) => {
      const { pathname, search } = new URL(joinUrl(joinToken('drip', `drip ${i}`)));
      const key = randomBytes(16).toString('base64');
      const head = ['Host: x', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
      sockets.push(
        await openTcp(
          `GET ${pathname}${search} HTTP/1.1\r\n${[...head, `Sec-WebSocket-Key: ${key}`].join('\r\n')}\r\n\r\n`,
        ),
      );
    });
    for (const socket of sockets) socket.resume();
    // A masked binary frame that promises 60,000 bytes.
    const frame = Buffer.concat([Buffer.from([0x82, 0xfe, 0xea, 0x60, 0, 0, 0, 0]), Buffer.alloc(60_000, 7)]);
    for (let at = 0; at < 200; at++) {
      for (const socket of sockets) socket.write(frame.subarray(at, at + 1));
      await delay(10);
    }
    for (const socket of sockets) socket.destroy();
  },

  async badTokens() {
    const video = { roomJoin: true, room: 'calm' };
    const foreign = sign({ sub: 'a', video: { roomAdmin: true, room: 'another' } });
    const tokens = [
      sign({ sub: 'a', video }, 'wrong'),
      sign({ sub: 'a', video, exp: 1 }),
      sign({ sub: 'a', video, nbf: 9_999_999_999 }),
      sign({ sub: 'a', video: { roomJoin: true } }),
      sign({ sub: 'a', video, iss: 'nobody' }),
      'x.y.z',
      '',
      foreign,
    ];
    const statuses = [];
    await inTurns(1_000, 50, async (i) => {
      const token = tokens[i % tokens.length];
      statuses.push(
        token === foreign
          ? await apiStatus('RemoveParticipant', token, { room: 'calm', identity: 'witness' })
          : await joinStatus(token),
      );
    });
    return tally(statuses);
  },

  async joins() {
    await inTurns(200, 50, async (i) => (await join(`rush ${i % 5}`, `member ${i}`)).terminate());
  },

  async clientsThatDoNotRead() {
    const slow = [];
    await inTurns(10, 10, async (i) =>
      slow.push(await join('slow', `slow ${i}`, { canUpdateOwnMetadata: true })),
    );
    for (const socket of slow) socket.pause();
    for (let i = 0; i < 100; i++) {
      const value = { metadata: 'm'.repeat(30_000), name: `${i}`, attributes: {}, requestId: 0 };
      for (const socket of slow) send(socket, { case: 'updateMetadata', value });
    }
    await delay(5_000);
    for (const socket of slow) socket.terminate();
  },

  async oversizedMessages() {
    await inTurns(50, 10, async (i) => {
      const socket = await join('large', `large ${i}`);
      socket.send(Buffer.alloc(2_000_000));
      await closed(socket);
    });
  },

  async thousandsOfTracks() {
    const socket = await join('many', 'many');
    let answers = 0;
    const answered = new Promise((resolve) => {
      socket.on('message', (data) => {
        const { case: kind } = SignalResponse.fromBinary(data).message;
        if (kind === 'trackPublished' || kind === 'requestResponse') answers++;
        if (answers === 128) resolve();
      });
    });
    for (let i = 0; i < 5_000; i++) {
      send(socket, { case: 'addTrack', value: new AddTrackRequest({ cid: `c${i}` }) });
    }
    await Promise.race([answered, closed(socket)]);
    await delay(3_000);
    socket.terminate();
  },

  async candidates() {
    const sockets = [];
    await inTurns(10, 10, async (i) => sockets.push(await join('candidates', `c ${i}`)));
    for (let i = 0; i < 20_000; i++) {
      const candidate = `candidate:1 1 udp 1 10.1.${(i >> 8) & 255}.${i & 255} 9 typ host`;
      const candidateInit = JSON.stringify({ candidate, sdpMid: '0' });
      send(sockets[i % 10], { case: 'trickle', value: new TrickleRequest({ candidateInit, target: i & 1 }) });
    }
    await delay(3_000);
    for (const socket of sockets) socket.terminate();
  },

  /** What one client asks for that everybody in its room is told of. */
  async changes() {
    const sockets = [];
    await inTurns(40, 10, async (i) =>
      sockets.push(await join('changes', `c ${i}`, { canUpdateOwnMetadata: true })),
    );
    for (let i = 0; i < 500; i++) {
      for (const socket of sockets.slice(0, 10)) {
        const value = { metadata: `${i}`, name: '', attributes: {}, requestId: 0 };
        send(socket, { case: 'updateMetadata', value });
      }
    }
    await delay(3_000);
    for (const socket of sockets) socket.terminate();
  },

  async garbageOnTheMediaPort() {
    for (let round = 0; round < 40; round++) {
      const sockets = Array.from({ length: 100 }, () => createSocket('udp4'));
      for (const socket of sockets) {
        for (const first of [0, 20, 23, 64, 128, 255]) {
          socket.send(Buffer.alloc(200, first), Number(rtcPort), '127.0.0.1', () => {});
        }
      }
      await delay(20);
      for (const socket of sockets) socket.close();
    }
  },
};

const result = await attacks[attack]();
process.stdout.write(`${JSON.stringify(result ?? {})}\n`);
process.exit(0);
