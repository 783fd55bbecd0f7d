import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { type Browser, chromium, type Page } from 'playwright-core';

const require = createRequire(import.meta.url);
const scripts: Record<string, Buffer> = {
  '/livekit-client.umd.js': readFileSync(require.resolve('livekit-client')),
  '/e2ee-worker.js': readFileSync(require.resolve('livekit-client/e2ee-worker')),
};
const page = '<!doctype html><title>test</title><script src="/livekit-client.umd.js"></script>';
const executablePath = '/usr/bin/chromium';
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

/** Headless Chromium with pages that have livekit-client as `LivekitClient`, and its worker for encryption at `/e2ee-worker.js`. */
export class ClientBrowser {
  #browser!: Browser;
  #server!: Server;
  #url = '';

  async open(): Promise<void> {
    this.#server = createServer((request, response) => {
      const script = scripts[request.url ?? ''];
      response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html').end(script ?? page);
    }).listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
    this.#browser = await chromium.launch({ executablePath, args: flags });
  }

  /** A fresh page; `log` takes what it writes to its console. */
  async newPage(log: (line: string) => void = () => {}): Promise<Page> {
    const created = await this.#browser.newPage();
    created.on('console', (message) => log(message.text()));
    created.on('pageerror', (error) => log(String(error)));
    await created.goto(this.#url);
    return created;
  }

  async close(): Promise<void> {
    await this.#browser.close();
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** The strongest frequency of what a page with `room` and the AudioContext `audio` hears of a participant. */
export async function loudestHz(page: Page, identity: string): Promise<number> {
  return page.evaluate<number>(`(async () => {
    const [publication] = room.remoteParticipants.get('${identity}').audioTrackPublications.values();
    const { track } = publication;
    // Chromium decodes a remote track only while an element plays it.
    track.attach();
    const source = audio.createMediaStreamSource(new MediaStream([track.mediaStreamTrack]));
    const analyser = new AnalyserNode(audio, { fftSize: 8192 });
    source.connect(analyser);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const spectrum = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(spectrum);
    return (spectrum.indexOf(Math.max(...spectrum)) * audio.sampleRate) / analyser.fftSize;
  })()`);
}
