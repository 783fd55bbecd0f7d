import type { Command } from 'commander';
import { startServer } from '../server/index.js';
import { type LogLevel, OffhookError, setLogSink } from '../timeline/index.js';
import { developmentKey } from './api-key-options.js';
import { signToken } from './token.js';

interface DevOptions {
  port: number;
  host: string;
  apiKey: string;
  apiSecret: string;
  rtcPort?: number;
  log: LogLevel;
}

const logLevels: readonly string[] = ['error', 'warn', 'info', 'debug', 'trace'];

/** `offhook dev`: a room server on this machine. */
export function registerDev(program: Command): void {
  program
    .command('dev')
    .description('run a room server on this machine, for agents, browsers and server SDKs')
    .option('--port <port>', 'TCP port for HTTP and WebSocket', parsePort, 7880)
    .option('--host <address>', 'address to listen on; 0.0.0.0 lets other machines in', '127.0.0.1')
    .option('--api-key <key>', 'API key that tokens are signed with', developmentKey.apiKey)
    .option('--api-secret <secret>', 'secret of the API key', developmentKey.apiSecret)
    .option('--rtc-port <port>', 'UDP port for all media (default: 7882, or any with --port 0)', parsePort)
    .option('--log <level>', `one of ${logLevels.join(', ')}`, parseLogLevel, 'info')
    .action(dev);
}

async function dev({ port, host, apiKey, apiSecret, rtcPort, log }: DevOptions): Promise<void> {
  setLogSink(({ level, module, message }) => {
    process.stderr.write(`${new Date().toISOString()} ${level.padEnd(5)} ${module}: ${message}\n`);
  }, log);
  const server = await startServer({
    port,
    host,
    keys: { [apiKey]: apiSecret },
    ...(rtcPort === undefined ? {} : { rtcPort }),
  });
  const token = await signToken({ apiKey, apiSecret, room: 'demo', identity: 'guest', ttl: '24h' });
  process.stdout.write(
    [
      `Room server   ${server.url}  (media on UDP port ${server.rtcPort})`,
      `API key       ${apiKey}`,
      `API secret    ${apiSecret}`,
      '',
      `For an agent: LIVEKIT_URL=${server.url} LIVEKIT_API_KEY=${apiKey} LIVEKIT_API_SECRET=${apiSecret}`,
      `To join room "demo" as "guest": ${token}`,
      `Another token: npx offhook token --room ROOM --identity NAME --api-key ${apiKey} --api-secret ${apiSecret}`,
      '',
    ].join('\n'),
  );
  let closing = false;
  const close = () => {
    // A second signal does not wait for anybody.
    if (closing) process.exit(1);
    closing = true;
    void server.close().then(() => process.exit(0));
  };
  process.on('SIGINT', close);
  process.on('SIGTERM', close);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `"${text}" is no port`, {
    advice: 'Give a number between 0 (any free port) and 65535.',
  });
}

function parseLogLevel(text: string): LogLevel {
  if (logLevels.includes(text)) return text as LogLevel;
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `"${text}" is no log level`, {
    advice: `Give one of ${logLevels.join(', ')}.`,
  });
}
