import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.js';

export interface RoomServer {
  /** ws:// or wss:// URL. */
  url: string;
  apiKey: string;
  apiSecret: string;
  /** Whom a telephone calls, and where the gateway writes what it saw of the calls. */
  telephone?: { uri: string; calls: string };
  stop(): Promise<void>;
}

/** The bundle, which a Python package has too. */
const cli = fileURLToPath(new URL('../../engine/cli.js', import.meta.url));
const readyTimeoutMs = 15_000;

/**
 * Starts `offhook dev` in a process of its own, on free ports.
 *
 * @param calls folder for what the SIP gateway sees; without it there is no gateway
 */
export async function startRoomServer(calls?: string): Promise<RoomServer> {
  let found: (url: string) => void = () => {};
  let sipUri: string | undefined;
  const url = new Promise<string>((resolve) => {
    found = resolve;
  });
  const program = new ChildProgram('room server', {
    args: [
      ...[cli, 'dev', '--port', '0'],
      ...(calls === undefined ? [] : ['--sip', '--sip-port', '0', '--sip-calls', calls]),
    ],
    cwd: process.cwd(),
    env: process.env,
    onLine: (line) => {
      sipUri ??= /sip:[^\s]+/.exec(line)?.[0];
      const match = /wss?:\/\/[^\s"',]+/.exec(line);
      // The line after that of the telephones names the URL again, when both are known.
      if (match && (calls === undefined || sipUri !== undefined)) found(match[0]);
    },
  });
  try {
    const listening = await program.until(url, 'listening', readyTimeoutMs);
    return {
      url: listening,
      ...(calls !== undefined && sipUri !== undefined ? { telephone: { uri: sipUri, calls } } : {}),
      apiKey: 'devkey',
      apiSecret: 'secret',
      stop: () => program.stop(),
    };
  } catch (error) {
    await program.stop();
    throw error;
  }
}
