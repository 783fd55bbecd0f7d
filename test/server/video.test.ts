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
});
