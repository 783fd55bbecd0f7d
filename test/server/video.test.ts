import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { describeWith } from '../support/parts.js';
import { type Engine, Program } from '../support/program.mjs';
import { ClientBrowser } from './browser.js';
import { signToken } from './signal-peer.js';

const script = fileURLToPath(new URL('../support/video-participant.mjs', import.meta.url));
const testTimeoutMs = 60_000;
const firstFrameMs = 30_000;

describeWith(['chromium', 'native engine'], 'the room server carries video', () => {
  const browser = new ClientBrowser();
  const programs: Program[] = [];
  let server: RoomServer;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
    await browser.open();
  });
  afterAll(async () => {
    await browser.close();
    await Promise.all(programs.map((program) => program.stop()));
    await server.close();
  });

  async function join(engine: Engine, room: string, identity: string): Promise<Program> {
    const program = new Program(script, { engine });
    programs.push(program);
    const token = await signToken(identity, { roomJoin: true, room });
    await program.call('connect', { url: server.url, token });
    return program;
  }

  test(
    'between a program on this engine and one on the native engine, both ways',
    async () => {
      const ours = await join('offhook', 'engines', 'ours');
      const native = await join('native', 'engines', 'native');
      await ours.call('publishVideo', { name: 'ours' });
      await native.call('publishVideo', { name: 'native', publish: { videoCodec: 0, simulcast: false } });
      const seen = { width: 320, height: 180 };
      expect(await native.waitFor('firstFrame', { identity: 'ours' }, firstFrameMs)).toMatchObject(seen);
      expect(await ours.waitFor('firstFrame', { identity: 'native' }, firstFrameMs)).toMatchObject(seen);
    },
    testTimeoutMs,
  );

  test(
    'between a page in Chromium and a program on this engine, both ways',
    async () => {
      const ours = await join('offhook', 'page', 'ours');
      await ours.call('publishVideo', { name: 'ours' });
      const page = await browser.newPage();
      const token = await signToken('page', { roomJoin: true, room: 'page' });
      await page.evaluate(`(async () => {
        LivekitClient.setLogLevel('silent');
        const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
        document.body.append(canvas);
        const context = canvas.getContext('2d');
        let count = 0;
        setInterval(() => {
          context.fillStyle = count++ % 2 ? '#808080' : '#888888';
          context.fillRect(0, 0, 320, 180);
        }, 66);
        globalThis.room = new LivekitClient.Room();
        globalThis.size = new Promise((resolve) => {
          room.on('trackSubscribed', (track) => {
            const video = track.attach();
            document.body.append(video);
            video.muted = true;
            const look = () => video.videoWidth > 2 && video.currentTime > 0
              ? resolve([video.videoWidth, video.videoHeight])
              : setTimeout(look, 100);
            look();
          });
        });
        await room.connect('${server.url}', '${token}');
        const [media] = canvas.captureStream(15).getVideoTracks();
        await room.localParticipant.publishTrack(media, { simulcast: false, videoCodec: 'vp8', source: 'camera' });
      })()`);
      expect(await page.evaluate('size')).toEqual([320, 180]);
      expect(await ours.waitFor('firstFrame', { identity: 'page' }, firstFrameMs)).toMatchObject({
        width: 320,
        height: 180,
      });
    },
    testTimeoutMs,
  );

  const publishInLayers = (width: number, height: number) => `(async () => {
    LivekitClient.setLogLevel('silent');
    const canvas = Object.assign(document.createElement('canvas'), { width: ${width}, height: ${height} });
    const context = canvas.getContext('2d');
    let count = 0;
    setInterval(() => {
      context.fillStyle = ['#606060', '#808080'][count++ % 2];
      context.fillRect(0, 0, ${width}, ${height});
    }, 50);
    globalThis.media = canvas.captureStream(20).getVideoTracks()[0];
  })()`;
  /** Shows the video of others; width() is that of the picture shown now. */
  const watch = `(() => {
    LivekitClient.setLogLevel('silent');
    globalThis.room = new LivekitClient.Room();
    room.on('trackSubscribed', (track, publication) => {
      globalThis.publication = publication;
      globalThis.video = document.body.appendChild(track.attach());
      video.muted = true;
    });
    globalThis.width = () => globalThis.video?.videoWidth ?? 0;
  })()`;

  test(
    'in the layer that a subscriber asks for, and its publisher sends no layer that nobody asks for',
    async () => {
      const publisher = await browser.newPage();
      const viewer = await browser.newPage();
      const grant = { roomJoin: true, room: 'layers' };
      await publisher.evaluate(publishInLayers(1_280, 720));
      await publisher.evaluate(`(async () => {
        globalThis.room = new LivekitClient.Room({ dynacast: true });
        await room.connect('${server.url}', '${await signToken('publisher', grant)}');
        await room.localParticipant.publishTrack(media, { simulcast: true, videoCodec: 'vp8', source: 'camera' });
        globalThis.active = () => [...room.localParticipant.videoTrackPublications.values()][0]
          .track.sender.getParameters().encodings.map(({ rid, active }) => active ? rid : '').join('');
      })()`);
      await viewer.evaluate(watch);
      await viewer.evaluate(`room.connect('${server.url}', '${await signToken('viewer', grant)}')`);
      const poll = { timeout: firstFrameMs };
      await expect.poll(() => viewer.evaluate('width()'), poll).toBe(1_280);
      await viewer.evaluate('publication.setVideoQuality(LivekitClient.VideoQuality.LOW)');
      await expect.poll(() => viewer.evaluate('width()'), poll).toBe(320);
      await expect.poll(() => publisher.evaluate('active()'), poll).toBe('q');
      await viewer.evaluate('publication.setVideoQuality(LivekitClient.VideoQuality.HIGH)');
      await expect.poll(() => viewer.evaluate('width()'), poll).toBe(1_280);
      await Promise.all([publisher.close(), viewer.close()]);
    },
    testTimeoutMs,
  );

  test(
    'of a program on this engine in the layer that a page asks for',
    async () => {
      const ours = await join('offhook', 'our-layers', 'ours');
      await ours.call('publishVideo', { width: 1_280, height: 720, fps: 20, publish: { videoCodec: 1 } });
      const viewer = await browser.newPage();
      await viewer.evaluate(watch);
      const token = await signToken('viewer', { roomJoin: true, room: 'our-layers' });
      await viewer.evaluate(`room.connect('${server.url}', '${token}')`);
      const poll = { timeout: firstFrameMs };
      await expect.poll(() => viewer.evaluate('width()'), poll).toBe(1_280);
      await viewer.evaluate('publication.setVideoQuality(LivekitClient.VideoQuality.LOW)');
      await expect.poll(() => viewer.evaluate('width()'), poll).toBe(320);
      await viewer.evaluate('publication.setVideoQuality(LivekitClient.VideoQuality.HIGH)');
      await expect.poll(() => viewer.evaluate('width()'), poll).toBe(1_280);
      await viewer.close();
    },
    testTimeoutMs,
  );

  // As livekit-client publishes these codecs, of which Chromium makes two sizes of so small a picture (L2T3_KEY).
  test.each(['vp9', 'av1'])(
    'in the layer that a subscriber asks for where one stream of %s has all of them',
    async (codec) => {
      const publisher = await browser.newPage();
      const viewer = await browser.newPage();
      const grant = { roomJoin: true, room: `layers of ${codec}` };
      await publisher.evaluate(publishInLayers(640, 360));
      await publisher.evaluate(`(async () => {
        globalThis.room = new LivekitClient.Room();
        await room.connect('${server.url}', '${await signToken('publisher', grant)}');
        await room.localParticipant.publishTrack(media, { videoCodec: '${codec}', backupCodec: false, source: 'camera',
          degradationPreference: 'maintain-resolution' });
      })()`);
      await viewer.evaluate(watch);
      await viewer.evaluate(`room.connect('${server.url}', '${await signToken('viewer', grant)}')`);
      const poll = { timeout: firstFrameMs };
      await expect.poll(() => viewer.evaluate('width()'), poll).toBe(640);
      await viewer.evaluate('publication.setVideoQuality(LivekitClient.VideoQuality.LOW)');
      await expect.poll(() => viewer.evaluate('width()'), poll).toBe(320);
      await viewer.evaluate('publication.setVideoQuality(LivekitClient.VideoQuality.HIGH)');
      await expect.poll(() => viewer.evaluate('width()'), poll).toBe(640);
      await Promise.all([publisher.close(), viewer.close()]);
    },
    testTimeoutMs,
  );
});
