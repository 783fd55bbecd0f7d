import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { describeWith } from '../support/parts.js';
import { startParticipant } from '../support/program.mjs';
import { TcpRelay } from '../support/tcp-relay.js';
import { dominantFrequencyHz } from '../support/tone.js';
import { ClientBrowser, loudestHz } from './browser.js';
import { takeHeard } from './room-of-two.js';
import { SignalPeer, signToken } from './signal-peer.js';

const mediaTimeoutMs = 40_000;
const testTimeoutMs = 90_000;

describeWith(['chromium', 'native engine'], 'livekit-client in Chromium', () => {
  const browser = new ClientBrowser();
  let server: RoomServer;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
    await browser.open();
  });
  afterAll(async () => {
    await browser.close();
    await server.close();
  });

  async function joinFromPage(room: string, identity: string, url = server.url): Promise<Page> {
    const page = await browser.newPage();
    const token = await signToken(identity, { roomJoin: true, room });
    await page.evaluate(
      `(async () => {
        LivekitClient.setLogLevel('silent');
        globalThis.heard = [];
        globalThis.room = new LivekitClient.Room();
        room.on('dataReceived', (bytes, from) => heard.push([from.identity, new TextDecoder().decode(bytes)]));
        await room.connect('${url}', '${token}');
      })()`,
    );
    return page;
  }

  test(
    'speaks with a participant on the native engine: tones and data cross both ways',
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'offhook-browser-'));
      const native = startParticipant('native');
      try {
        const token = await signToken('native', { roomJoin: true, room: 'tones' });
        await native.call('connect', { url: server.url, token });
        await native.call('publishTone', { hz: 440 });
        const page = await joinFromPage('tones', 'page');
        await page.evaluate(`(async () => {
        const audio = globalThis.audio = new AudioContext({ sampleRate: 48000 });
        const tone = new OscillatorNode(audio, { frequency: 660 });
        const out = new MediaStreamAudioDestinationNode(audio);
        tone.connect(new GainNode(audio, { gain: 0.1 })).connect(out);
        tone.start();
        await room.localParticipant.publishTrack(out.stream.getAudioTracks()[0], { source: 'microphone' });
        await room.localParticipant.publishData(new TextEncoder().encode('hello'), { reliable: true });
      })()`);
        await native.waitFor('dataReceived', { text: 'hello', identity: 'page' });
        await native.call('publishData', { text: 'welcome' });
        await native.waitFor('firstAudible', { identity: 'page' });
        await vi.waitFor(
          async () => {
            const pcm = await takeHeard(native, 'page', join(directory, 'page'));
            expect(pcm.samples.length).toBeGreaterThan(4_800);
            expect(Math.abs(dominantFrequencyHz(pcm) - 660)).toBeLessThanOrEqual(5);
            expect(await page.evaluate('heard')).toEqual([['native', 'welcome']]);
            expect(Math.abs((await loudestHz(page, 'native')) - 440)).toBeLessThan(20);
          },
          { timeout: mediaTimeoutMs, interval: 300 },
        );
      } finally {
        await native.stop();
        rmSync(directory, { recursive: true });
      }
    },
    testTimeoutMs,
  );

  test(
    'sees the camera of another page, at full size',
    async () => {
      const [ada, bob] = await Promise.all([joinFromPage('video', 'ada'), joinFromPage('video', 'bob')]);
      await ada.evaluate('room.localParticipant.setCameraEnabled(true)');
      await vi.waitFor(
        async () => {
          const received = await bob.evaluate(`(async () => {
          const [publication] = room.remoteParticipants.get('ada').videoTrackPublications.values();
          const report = [...(await publication.track.getRTCStatsReport()).values()];
          const { framesDecoded, frameWidth } = report.find(({ type }) => type === 'inbound-rtp');
          return { framesDecoded, frameWidth };
        })()`);
          expect(received).toMatchObject({ frameWidth: 1280 });
          expect((received as { framesDecoded: number }).framesDecoded).toBeGreaterThan(10);
        },
        { timeout: mediaTimeoutMs, interval: 300 },
      );
      await ada.evaluate('room.localParticipant.setCameraEnabled(false)');
      await vi.waitFor(async () =>
        expect(
          await bob.evaluate(
            `[...room.remoteParticipants.get('ada').videoTrackPublications.values()].every(({ isMuted }) => isMuted)`,
          ),
        ).toBe(true),
      );
    },
    testTimeoutMs,
  );

  test(
    'goes on when its signalling is cut: it resumes, stays where it was, and can publish more',
    async () => {
      const relay = await TcpRelay.open(server.url);
      const watcher = await SignalPeer.join(server.url, 'cut', 'watcher');
      try {
        const page = await joinFromPage('cut', 'page', relay.url);
        const sid = await page.evaluate('room.localParticipant.sid');
        await page.evaluate(`room.localParticipant.setMicrophoneEnabled(true)`);
        await page.evaluate(
          `void (globalThis.resumed = new Promise((resolve) => room.once('reconnected', resolve)))`,
        );
        relay.cut();
        await page.evaluate('resumed');
        await page.evaluate('room.localParticipant.setCameraEnabled(true)');
        const { participants } = await watcher.until(
          'update',
          (update) => update.participants[0]?.tracks.length === 2,
        );
        expect(participants[0]?.sid).toBe(sid);
        expect(await page.evaluate('room.state')).toBe('connected');
      } finally {
        watcher.close();
        await relay.close();
      }
    },
    testTimeoutMs,
  );
});
