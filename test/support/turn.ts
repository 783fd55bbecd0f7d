import { defaultDeadlinesMs } from '../../src/deadlines/index.js';
import { SignalClient } from '../../src/signal/index.js';
import { Timeline } from '../../src/timeline/index.js';
import { makeToken } from './token.mjs';

/** What a livekit-server with a TURN server tells a participant to log in there with. */
export async function turnCredentials(server: {
  url: string;
  apiKey: string;
  apiSecret: string;
}): Promise<{ username: string; credential: string }> {
  const signal = await SignalClient.open({
    urls: [server.url],
    token: await makeToken(server, 'turn', 'somebody'),
    timeline: new Timeline('turn'),
    deadlines: { ...defaultDeadlinesMs },
    abort: new AbortController().signal,
    autoSubscribe: false,
    adaptiveStream: false,
  });
  const { iceServers } = signal.first.value;
  signal.close();
  return iceServers.find(({ urls }) => urls.some((url) => url.startsWith('turn')))!;
}
