// A real livekit-server (the Go one) on ports of its own, for tests and for the benchmark.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { findLivekitServer, howToGetParts } from '../../scripts/parts.mjs';

export { findLivekitServer };

const readyTimeoutMs = 20_000;
const attempts = 3;

/** @returns {Promise<number>} a TCP port of 127.0.0.1 that was free a moment ago */
export function freeTcpPort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** @returns {Promise<number>} a UDP port of 127.0.0.1 that was free a moment ago */
function freeUdpPort() {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    socket.once('error', reject);
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}

function config({ port, tcpPort, udpPort, turn, apiKey, apiSecret }) {
  return JSON.stringify({
    port,
    bind_addresses: ['127.0.0.1'],
    keys: { [apiKey]: apiSecret },
    logging: { level: 'info' },
    rtc: {
      udp_port: udpPort,
      tcp_port: tcpPort,
      node_ip: '127.0.0.1',
      use_external_ip: false,
      enable_loopback_candidate: true,
      interfaces: { includes: ['lo'] },
    },
    room: { auto_create: true, departure_timeout: 1 },
    ...(turn && {
      turn: {
        enabled: true,
        domain: 'turn.example.com',
        udp_port: turn.udpPort,
        // As behind a load balancer that ends TLS.
        tls_port: turn.tcpPort,
        external_tls: true,
      },
    }),
  });
}

/** Waits until the server answers over HTTP; false when the process ended first (its port was taken, say). */
async function isReady(child, httpUrl) {
  const deadlineMs = performance.now() + readyTimeoutMs;
  while (child.exitCode === null && performance.now() < deadlineMs) {
    const answer = await fetch(httpUrl, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    if (answer?.ok) return true;
    await delay(25);
  }
  return false;
}

/** Ends the server at once: it keeps nothing, and its own orderly end waits five seconds. */
async function kill(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

async function tryStart(binary, keys, withTurn) {
  const ports = {
    port: await freeTcpPort(),
    tcpPort: await freeTcpPort(),
    udpPort: await freeUdpPort(),
    turn: withTurn ? { udpPort: await freeUdpPort(), tcpPort: await freeTcpPort() } : undefined,
  };
  const child = spawn(binary, ['--config-body', config({ ...ports, ...keys })], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines = [];
  const keep = (chunk) => lines.push(...String(chunk).split('\n').filter(Boolean));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const httpUrl = `http://127.0.0.1:${ports.port}`;
  const url = `ws://127.0.0.1:${ports.port}`;
  if (!(await isReady(child, httpUrl))) {
    await kill(child);
    return { failure: lines.slice(-3).join('\n') };
  }
  return {
    server: {
      url,
      httpUrl,
      ...keys,
      pid: child.pid,
      udpPort: ports.udpPort,
      turn: ports.turn,
      lines,
      stop: () => kill(child),
    },
  };
}

/**
 * Starts a livekit-server on free ports of 127.0.0.1 and resolves when it answers.
 * `lines` grows with what it prints; `stop()` ends it and resolves when it is gone. `turn` are the ports of its TURN
 * server, where one is asked for.
 */
export async function startLivekitServer({
  apiKey = 'devkey',
  apiSecret = 'secret-of-a-test-server-32-bytes',
  turn = false,
} = {}) {
  const binary = findLivekitServer();
  if (!binary) {
    throw new Error(`livekit-server is neither in PATH nor in .tools/bin. To get it: ${howToGetParts()}`);
  }
  let failure = '';
  for (let attempt = 0; attempt < attempts; attempt++) {
    const started = await tryStart(binary, { apiKey, apiSecret }, turn);
    if (started.server) return started.server;
    failure = started.failure ?? '';
  }
  throw new Error(`livekit-server did not start: ${failure}`);
}
