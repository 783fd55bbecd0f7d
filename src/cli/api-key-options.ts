import { Option } from 'commander';

/** What `livekit-server --dev` and `offhook dev` use when no key is given. */
export const developmentKey = { apiKey: 'devkey', apiSecret: 'secret' };

/** `--api-key`: by the name and the variable that LiveKit's own tools use. The value of the variable is never shown. */
export function apiKeyOption(): Option {
  return new Option('--api-key <key>', 'API key to sign a token with').env('LIVEKIT_API_KEY');
}

/** `--api-secret`. */
export function apiSecretOption(): Option {
  return new Option('--api-secret <secret>', 'secret of the API key').env('LIVEKIT_API_SECRET');
}
