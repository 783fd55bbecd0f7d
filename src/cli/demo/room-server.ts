import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.js';

export interface RoomServer {
  /** ws:// or wss:// URL. */
  url: string;
  apiKey: string;
  apiSecret: string;
  stop(): Promise<void>;
}

const cli = fileURLToPath(new URL('../main.js', import.meta.url));
const readyTimeoutMs = 15_000;

/** Starts `offhook dev` in a process of its own, on free ports. */
export async function startRoomServer(): Promise<RoomServer> {
  let found: (url: string) => void = () => {};
  const url = new Promise<string>((resolve) => {
    found = resolve;
  });
  const program = new ChildProgram('room server', {
    args: [cli, 'dev', '--port', '0'],
    cwd: process.cwd(),
    env: process.env,
    onLine: (line) => {
      const match = /wss?:\/\/[^\s"',]+/.exec(line);
      if (match) found(match[0]);
    },
  });
  try {
    return {
      url: await program.until(url, 'listening', readyTimeoutMs),
      apiKey: 'devkey',
      apiSecret: 'secret',
      stop: () => program.stop(),
    };
  } catch (error) {
    await program.stop();
    throw error;
  }
}
