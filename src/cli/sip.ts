import type { Command } from 'commander';
import { OffhookError } from '../errors/index.js';
import type { LogLevel } from '../logging/index.js';
import { SipGateway } from '../sip/index.js';
import { apiKeyOption, apiSecretOption } from './api-key-options.js';
import { closeOnSignal, logOption, logToStderr } from './server-options.js';
import { addSipOptions, gatewayOptions, type SipCommandOptions } from './sip-options.js';

interface SipOptions extends SipCommandOptions {
  url?: string;
  apiKey?: string;
  apiSecret?: string;
  log: LogLevel;
}

/** `offhook sip`: a SIP gateway beside a LiveKit server or cluster. */
export function registerSip(program: Command): void {
  const command = program
    .command('sip')
    .description('run a SIP gateway beside a LiveKit server: telephones call agents in its rooms')
    .option('--url <url>', 'the room server, ws:// or wss:// (default: LIVEKIT_URL)')
    .addOption(apiKeyOption())
    .addOption(apiSecretOption());
  addSipOptions(command).addOption(logOption()).action(sip);
}

async function sip(options: SipOptions): Promise<void> {
  const { apiKey, apiSecret, url = process.env.LIVEKIT_URL } = options;
  if (!url || !apiKey || !apiSecret) {
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      'the gateway needs the URL of a room server, and an API key to join its rooms',
      {
        advice:
          'Give --url, --api-key and --api-secret, or LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET.',
      },
    );
  }
  logToStderr(options.log);
  const gateway = await SipGateway.open({
    ...gatewayOptions(options, '127.0.0.1'),
    room: { url, apiKey, apiSecret },
  });
  process.stdout.write(
    `Telephones    sip:anything@${options.sipHost ?? '127.0.0.1'}:${gateway.port}  (UDP and TCP)\nRoom server   ${url}\n`,
  );
  closeOnSignal(() => gateway.close());
}
