// LiveKit's own plugin, which works with LiveKit Cloud only: elsewhere it must cost the filter and never the call.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Timeline } from '../../src/timeline/index.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { missingPart } from '../support/parts.js';
import { makeToken } from '../support/token.mjs';
import { filterFrame, level, openRegistry, streamInfo, streamIs, untilStatus } from './harness.js';

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
const title = '@livekit/noise-cancellation-node';

describe.skipIf(missing)(missing ? `${title} (skipped: ${missing} is not on this machine)` : title, () => {
  let server: Awaited<ReturnType<typeof startLivekitServer>>;
  beforeAll(async () => {
    server = await startLivekitServer();
  });
  afterAll(() => server.stop());

  test('loads, is refused by a server that is not LiveKit Cloud, and lets audio pass', async () => {
    const registry = openRegistry({ loadDeadlineMs: 60_000 });
    registry.loadNative({ moduleId: 'livekit.plugins.noise_cancellation', pluginPath });
    const timeline = new Timeline('connect');
    const { url } = server;
    registry.roomConnecting({ url, token: await makeToken(server, 'room', 'agent'), timeline });
    const session = registry.create('livekit.plugins.noise_cancellation', {
      sampleRate: 24_000,
      numChannels: 1,
      optionsJson: JSON.stringify({ modelPath: join(resources, 'c8.f.s.026300-1.0.0_3.1.kef') }),
      streamInfo: { ...streamInfo, url },
    });
    expect(await filterFrame(session, level(1000, 240))).toBeUndefined();
    // Its models take a busy machine long to load.
    await untilStatus(registry, streamIs('unavailable'), 60_000);
    const { reason, elapsedMs } = session.status;
    expect(reason).toMatch(/on_load returned|audio_filter_create returned null/);
    expect(elapsedMs).toBeGreaterThan(0);
    expect(await filterFrame(session, level(1000, 240))).toBeUndefined();
    expect(timeline.spans.at(-1)).toMatchObject({ outcome: 'failed', detail: reason });
  }, 90_000);
});
