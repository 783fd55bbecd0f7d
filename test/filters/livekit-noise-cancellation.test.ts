// LiveKit's own plugin, which works with LiveKit Cloud only: elsewhere it must cost the filter and never the call.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FilterStatus } from '../../src/filters/index.js';
import { Timeline } from '../../src/timeline/index.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { missingPart } from '../support/parts.js';
import { makeToken } from '../support/token.mjs';
import { filterFrame, level, openRegistry, streamInfo, untilStatus } from './harness.js';

/** Where the package of this platform keeps its library and models; undefined where there is none. */
function findResources(): string | undefined {
  const name = `@livekit/noise-cancellation-${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'resources');
  } catch {
    return undefined;
  }
}

const resources = findResources() ?? '';
const pluginPath = join(resources, 'liblivekit_nc_plugin.so');
const missing = existsSync(pluginPath) ? missingPart(['livekit-server']) : '@livekit/noise-cancellation-node';
const moduleId = 'livekit.plugins.noise_cancellation';
const settledStates = new Set(['ready', 'unavailable']);
/** A frame that was late or refused is undefined: the caller hears the one that went in. */
const isUnchanged = (sent: Int16Array) => (received: Int16Array | undefined) =>
  received === undefined || Buffer.from(received.buffer).equals(Buffer.from(sent.buffer));
const title = '@livekit/noise-cancellation-node';

describe.skipIf(missing)(missing ? `${title} (skipped: ${missing} is not on this machine)` : title, () => {
  let server: Awaited<ReturnType<typeof startLivekitServer>>;
  beforeAll(async () => {
    server = await startLivekitServer();
  });
  afterAll(() => server.stop());

  test('loads, is refused by a server that is not LiveKit Cloud, and lets audio pass', async () => {
    const registry = openRegistry({ loadDeadlineMs: 60_000 });
    registry.loadNative({ moduleId, pluginPath });
    const timeline = new Timeline('connect');
    const { url } = server;
    registry.roomConnecting({ url, token: await makeToken(server, 'room', 'agent'), timeline });
    const createStream = (trackId: string) =>
      registry.create(moduleId, {
        sampleRate: 24_000,
        numChannels: 1,
        optionsJson: JSON.stringify({ modelPath: join(resources, 'c8.f.s.026300-1.0.0_3.1.kef') }),
        streamInfo: { ...streamInfo, url, trackId },
      });
    const isSettled = (trackId: string) => (status: FilterStatus) =>
      status.streams.some((stream) => stream.trackId === trackId && settledStates.has(stream.state));

    // on_load returns at once and asks the server beside it: a stream that is created before the answer is accepted
    // and left as it is, one that is created after it is refused. Which the first is, is luck.
    let session = createStream('TR_0');
    for (let number = 1; session.status.state !== 'unavailable'; number++) {
      // Its models take a busy machine long to load.
      await untilStatus(registry, isSettled(session.status.trackId), 60_000);
      if (session.status.state === 'ready') {
        const frame = level(1000, 240);
        expect(await filterFrame(session, frame)).toSatisfy(isUnchanged(frame));
        session.close();
        session = createStream(`TR_${number}`);
      }
    }
    const { reason, elapsedMs } = session.status;
    expect(reason).toMatch(/on_load returned|audio_filter_create returned null/);
    expect(elapsedMs).toBeGreaterThan(0);
    expect(await filterFrame(session, level(1000, 240))).toBeUndefined();
    expect(timeline.spans.at(-1)).toMatchObject({ outcome: 'failed', detail: reason });
  }, 90_000);
});
