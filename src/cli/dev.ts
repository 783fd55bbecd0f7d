import type { Command } from 'commander';
import { checkName } from '../errors/index.js';
import type { LogLevel } from '../logging/index.js';
import { type RoomServer, startServer } from '../server/index.js';
import { SipGateway, sipService } from '../sip/index.js';
import { apiKeyOption, apiSecretOption, developmentKey } from './api-key-options.js';
import { closeOnSignal, logOption, logToStderr, parsePort } from './server-options.js';
import { addSipOptions, gatewayOptions, type SipCommandOptions } from './sip-options.js';
import { signToken } from './token.js';

interface DevOptions extends SipCommandOptions {
  port: number;
  host: string;
  apiKey: string;
  apiSecret: string;
  rtcPort?: number;
  sip?: boolean;
  log: LogLevel;
}

/** `offhook dev`: a room server on this machine. */
export function registerDev(program: Command): void {
  const command = program
    .command('dev')
    .description('run a room server on this machine, for agents, browsers and server SDKs')
    .option('--port <port>', 'TCP port for HTTP and WebSocket', parsePort, 7880)
    .option('--host <address>', 'address to listen on; 0.0.0.0 lets other machines in', '127.0.0.1')
    .addOption(apiKeyOption().default(developmentKey.apiKey))
    .addOption(apiSecretOption().default(developmentKey.apiSecret))
    .option('--rtc-port <port>', 'UDP port for all media (default: 7882, or any with --port 0)', parsePort)
    .option('--sip', 'let telephones call in and out as well');
  addSipOptions(command).addOption(logOption()).action(dev);
}

async function dev(options: DevOptions, command: Command): Promise<void> {
  const { port, host, apiKey, apiSecret, rtcPort, log } = options;
  checkName('the API key', apiKey);
  checkName('the API secret', apiSecret);
  logToStderr(log);
  let gateway: SipGateway | undefined;
  const server = await startServer({
    port,
    host,
    keys: { [apiKey]: apiSecret },
    ...(rtcPort === undefined ? {} : { rtcPort }),
    ...(options.sip ? { services: { 'livekit.SIP': sipService(() => gateway!) } } : {}),
  });
  if (options.sip) gateway = await openGateway(server, options);
  // A secret from the environment is not printed.
  const isGiven = command.getOptionValueSource('apiSecret') === 'env';
  const secret = isGiven ? '$LIVEKIT_API_SECRET' : apiSecret;
  const token = await signToken({ apiKey, apiSecret, room: 'demo', identity: 'guest', ttl: '24h' });
  process.stdout.write(
    [
      `Room server   ${server.url}  (media on UDP port ${server.rtcPort})`,
      ...(gateway
        ? [`Telephones    sip:anything@${options.sipHost ?? host}:${gateway.port}  (UDP and TCP)`]
        : []),
      `API key       ${apiKey}`,
      `API secret    ${secret}`,
      '',
      `For an agent: LIVEKIT_URL=${server.url} LIVEKIT_API_KEY=${apiKey} LIVEKIT_API_SECRET=${secret}`,
      `To join room "demo" as "guest": ${token}`,
      `Another token: npx offhook token --room ROOM --identity NAME --api-key ${apiKey} --api-secret ${secret}`,
      '',
    ].join('\n'),
  );
  closeOnSignal(async () => {
    await gateway?.close();
    await server.close();
  });
}

/** Opens the gateway beside the server; when that fails, the server is closed. */
async function openGateway(server: RoomServer, options: DevOptions): Promise<SipGateway> {
  const { apiKey, apiSecret, host } = options;
  // The server is reached over loopback, whichever addresses it listens on.
  const url = new URL(server.url);
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  try {
    const room = { url: url.href, apiKey, apiSecret };
    return await SipGateway.open({ ...gatewayOptions(options, host), room });
  } catch (error) {
    await server.close();
    throw error;
  }
}
