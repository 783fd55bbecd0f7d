import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { describeWith } from '../support/parts.js';
import { Program, startParticipant } from '../support/program.mjs';
import { dominantFrequencyHz } from '../support/tone.js';
import { ClientBrowser, loudestHz } from './browser.js';
import { takeHeard } from './room-of-two.js';
import { signToken } from './signal-peer.js';

const videoScript = fileURLToPath(new URL('../support/video-participant.mjs', import.meta.url));
const mediaTimeoutMs = 40_000;
const testTimeoutMs = 90_000;
const sharedKey = 'the key of the room';

interface Seen {
  luma: [number, number, number, number];
}

describeWith(['chromium', 'native engine'], 'encryption with livekit-client in Chromium', () => {
  const browser = new ClientBrowser();
  const programs: Program[] = [];
  const directory = mkdtempSync(join(tmpdir(), 'offhook-encrypted-'));
  let server: RoomServer;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
    await browser.open();
  });
  afterAll(async () => {
    await browser.close();
    await Promise.all(programs.map((program) => program.stop()));
    await server.close();
    rmSync(directory, { recursive: true });
  });

  async function joined(program: Program, room: string, identity: string): Promise<Program> {
    programs.push(program);
    const token = await signToken(identity, { roomJoin: true, room });
    await program.call('connect', { url: server.url, token, sharedKey });
    return program;
  }

  /** `heard`: data and texts; `errors`: of encryption. A microphone is a tone of 660 Hz. */
  async function joinFromPage(room: string, identity: string, key = sharedKey): Promise<Page> {
    const page = await browser.newPage();
    const token = await signToken(identity, { roomJoin: true, room });
    await page.evaluate(`(async () => {
      LivekitClient.setLogLevel('silent');
      globalThis.heard = [];
      globalThis.errors = [];
      const keyProvider = new LivekitClient.ExternalE2EEKeyProvider();
      await keyProvider.setKey('${key}');
      const encryption = { keyProvider, worker: new Worker('/e2ee-worker.js') };
      globalThis.room = new LivekitClient.Room({ encryption });
      room.on('encryptionError', (error) => errors.push(String(error)));
      room.on('dataReceived', (bytes, from) => heard.push([from?.identity, new TextDecoder().decode(bytes)]));
      room.registerTextStreamHandler('words', async (reader, from) => heard.push([from.identity, await reader.readAll()]));
      room.localParticipant.registerRpcMethod('echo', async ({ payload }) => payload);
      await room.setE2EEEnabled(true);
      await room.connect('${server.url}', '${token}');
      globalThis.audio = new AudioContext({ sampleRate: 48000 });
    })()`);
    return page;
  }

  test(
    'tones, data, texts and calls cross both ways',
    async () => {
      const ours = await joined(startParticipant('offhook'), 'voices', 'ours');
      await ours.call('receiveText', { topic: 'words' });
      await ours.call('publishTone', { hz: 440 });
      const page = await joinFromPage('voices', 'page');
      await page.evaluate(`(async () => {
        const tone = new OscillatorNode(audio, { frequency: 660 });
        const out = new MediaStreamAudioDestinationNode(audio);
        tone.connect(new GainNode(audio, { gain: 0.1 })).connect(out);
        tone.start();
        await room.localParticipant.publishTrack(out.stream.getAudioTracks()[0], { source: 'microphone' });
        await room.localParticipant.publishData(new TextEncoder().encode('hello'), { reliable: true });
        await room.localParticipant.sendText('a text', { topic: 'words' });
      })()`);
      await ours.waitFor('dataReceived', { text: 'hello', identity: 'page' });
      await ours.waitFor('text', { text: 'a text', identity: 'page' });
      expect(await ours.call('rpc', { to: 'page', payload: 'ping' })).toMatchObject({ value: 'ping' });
      await ours.call('publishData', { text: 'welcome' });
      await ours.call('sendText', { text: 'another text', topic: 'words' });
      await ours.waitFor('firstAudible', { identity: 'page' }, mediaTimeoutMs);
      await vi.waitFor(
        async () => {
          const pcm = await takeHeard(ours, 'page', join(directory, 'page'));
          expect(pcm.samples.length).toBeGreaterThan(4_800);
          expect(Math.abs(dominantFrequencyHz(pcm) - 660)).toBeLessThanOrEqual(5);
          expect(await page.evaluate('heard')).toEqual([
            ['ours', 'welcome'],
            ['ours', 'another text'],
          ]);
          expect(Math.abs((await loudestHz(page, 'ours')) - 440)).toBeLessThan(20);
        },
        { timeout: mediaTimeoutMs, interval: 300 },
      );
      expect(await page.evaluate('errors')).toEqual([]);
    },
    testTimeoutMs,
  );

  test.for([
    ['VP8', 0],
    ['H264', 1],
  ] as const)(
    'video of ours as %s is seen in the page, and that of the page by us',
    { timeout: testTimeoutMs },
    async ([codec, videoCodec]) => {
      const room = `pictures ${codec}`;
      const ours = await joined(new Program(videoScript, { engine: 'offhook' }), room, 'ours');
      await ours.call('publishVideo', { name: 'ours', publish: { videoCodec, simulcast: false } });
      const page = await joinFromPage(room, 'page');
      await page.evaluate(`(async () => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
        document.body.append(canvas);
        const context = canvas.getContext('2d');
        let count = 0;
        setInterval(() => {
          for (const [index, luma] of [60, 120, 180, 100 + (count++ % 50)].entries()) {
            // Limited range, as codecs have it.
            const grey = Math.round(((luma - 16) * 255) / 219);
            context.fillStyle = 'rgb(' + grey + ',' + grey + ',' + grey + ')';
            context.fillRect((index % 2) * 160, Math.floor(index / 2) * 90, 160, 90);
          }
        }, 66);
        const [media] = canvas.captureStream(15).getVideoTracks();
        await room.localParticipant.publishTrack(media, { simulcast: false, videoCodec: 'vp8', source: 'camera' });
      })()`);
      await ours.waitFor('firstFrame', { identity: 'page' }, mediaTimeoutMs);
      await vi.waitFor(
        async () => {
          const { frames } = await ours.call<{ frames: Seen[] }>('takeSeen', { identity: 'page' });
          expect(frames.length).toBeGreaterThan(2);
          for (const { luma } of frames) expectQuarters(luma);
          expectQuarters(await quartersSeen(page));
        },
        { timeout: mediaTimeoutMs, interval: 500 },
      );
      expect(await page.evaluate('errors')).toEqual([]);
    },
  );

  test(
    'another key is an error at the page, and nothing of what is sent',
    async () => {
      const ours = await joined(startParticipant('offhook'), 'secrets', 'ours');
      await ours.call('publishTone', { hz: 440 });
      const page = await joinFromPage('secrets', 'page', 'another key');
      await vi.waitFor(async () => expect(await page.evaluate('errors.length')).toBeGreaterThan(0), {
        timeout: mediaTimeoutMs,
      });
      await ours.call('publishData', { text: 'secret' });
      expect(await page.evaluate('heard')).toEqual([]);
    },
    testTimeoutMs,
  );
});

function expectQuarters(luma: readonly number[]): void {
  for (const [index, filmed] of [60, 120, 180].entries()) {
    expect(Math.abs((luma[index] as number) - filmed)).toBeLessThan(12);
  }
}

/** Luma of the middle of each quarter of the video that a page is sent. */
function quartersSeen(page: Page): Promise<number[]> {
  return page.evaluate<number[]>(`(async () => {
    const [publication] = room.remoteParticipants.get('ours').videoTrackPublications.values();
    globalThis.view ??= Object.assign(publication.track.attach(), { muted: true });
    document.body.append(view);
    const { videoWidth: width, videoHeight: height } = view;
    if (width !== 320 || height !== 180) return [0, 0, 0, 0];
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d');
    context.drawImage(view, 0, 0);
    return [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]].map(([x, y]) => {
      const [grey] = context.getImageData(Math.floor(x * width), Math.floor(y * height), 1, 1).data;
      return 16 + (grey * 219) / 255;
    });
  })()`);
}
