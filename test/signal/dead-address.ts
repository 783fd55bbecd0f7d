// A loopback address at which connections get no answer: a listener that never accepts, its backlog full, so that Linux
// drops further SYNs.
import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';

const listener = `
  const [host, port] = process.argv.slice(1);
  require('node:net').createServer().listen({ host, port: Number(port), backlog: 1 }, () => {
    require('node:fs').writeSync(1, 'listening\\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;

/** Whether a connection comes up within a moment. */
function connects(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), 200);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(true);
    });
    socket.on('error', () => {});
  });
}

export async function deadAddress(host: string, port: number): Promise<{ close(): void }> {
  const child = spawn(process.execPath, ['-e', listener, host, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const sockets: Socket[] = [];
  do sockets.push(connect(port, host));
  while (await connects(sockets.at(-1)!));
  return {
    close: () => {
      for (const socket of sockets) socket.destroy();
      child.kill('SIGKILL');
    },
  };
}
