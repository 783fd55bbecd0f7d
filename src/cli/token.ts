import type { Command } from 'commander';
import { checkName, OffhookError } from '../errors/index.js';
import { signAccess } from '../server/index.js';
import { apiKeyOption, apiSecretOption, developmentKey } from './api-key-options.js';

interface TokenOptions {
  room: string;
  identity: string;
  apiKey: string;
  apiSecret: string;
  /** A time span: `6h`, `10m`. */
  ttl: string;
  name?: string;
  metadata?: string;
}

/** `offhook token`: an access token to join a room with. */
export function registerToken(program: Command): void {
  program
    .command('token')
    .description('print an access token for a room')
    .requiredOption('--room <room>', 'room to join')
    .requiredOption('--identity <identity>', 'identity of the participant')
    .option('--name <name>', 'display name')
    .option('--metadata <text>', 'metadata of the participant')
    .option('--ttl <duration>', 'how long it is valid, e.g. 10m, 6h, 7d', '6h')
    .addOption(apiKeyOption().default(developmentKey.apiKey))
    .addOption(apiSecretOption().default(developmentKey.apiSecret))
    .action(async (options: TokenOptions) => {
      checkName('room', options.room);
      checkName('identity', options.identity);
      process.stdout.write(`${await signToken(options)}\n`);
    });
}

/** Signs a token that lets its bearer join, publish, subscribe and change its own metadata. */
export async function signToken(options: TokenOptions): Promise<string> {
  const { apiKey, apiSecret, room, identity, ttl, name, metadata } = options;
  checkName('the API key', apiKey);
  checkName('the API secret', apiSecret);
  try {
    return await signAccess(apiKey, apiSecret, {
      identity,
      ...(name === undefined ? {} : { name }),
      ...(metadata === undefined ? {} : { metadata }),
      lifetime: ttl,
      grants: { roomJoin: true, room, canUpdateOwnMetadata: true },
    });
  } catch (cause) {
    throw new OffhookError('OFFHOOK_INVALID_REQUEST', `"${ttl}" is not a duration`, {
      advice: 'Give one such as 10m, 6h or 7d.',
      cause,
    });
  }
}
