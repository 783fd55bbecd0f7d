import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { laterLivekit } from '../../scripts/python-tools.mjs';
import { startServer } from '../../src/server/index.js';
import { describeWith } from '../support/parts.js';
import { type Engine, type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';

const size = { width: 320, height: 240 };
const framesPerLoop = 30;
const realtime = ['-lag-in-frames', '0', '-g', '1000'];
const encoders: Record<string, string[]> = {
  VP8: ['-c:v', 'libvpx', '-deadline', 'realtime', '-auto-alt-ref', '0', ...realtime],
  VP9: ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-auto-alt-ref', '0', ...realtime],
  AV1: ['-c:v', 'libaom-av1', '-usage', 'realtime', '-cpu-used', '8', ...realtime],
  H264: ['-c:v', 'libx264', '-profile:v', 'baseline', '-tune', 'zerolatency', '-g', '1000'],
};

/** Frames of an IVF file: a header of 32 bytes, and one of 12 before each frame. */
function ivfFrames(file: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 32; at < file.length; ) {
    const length = file.readUInt32LE(at);
    frames.push(file.subarray(at + 12, at + 12 + length));
    at += 12 + length;
  }
  return frames;
}

/** Access units of an Annex B file, each of which begins with a delimiter. */
function accessUnits(file: Buffer): Buffer[] {
  const delimiter = Buffer.from([0, 0, 0, 1, 9]);
  const starts: number[] = [];
  for (let at = file.indexOf(delimiter); at >= 0; at = file.indexOf(delimiter, at + 1)) starts.push(at);
  return starts.map((start, index) => file.subarray(start, starts[index + 1]));
}

/** Grey pictures, encoded by another program than either engine. */
function encode(codec: string, folder: string): string {
  const file = join(folder, codec === 'H264' ? 'frames.h264' : `${codec}.ivf`);
  const source = `color=c=0x909090:size=${size.width}x${size.height}:rate=15`;
  const format = codec === 'H264' ? ['-x264-params', 'aud=1:keyint=1000', '-f', 'h264'] : ['-f', 'ivf'];
  const args = ['-f', 'lavfi', '-i', source, '-frames:v', String(framesPerLoop), '-pix_fmt', 'yuv420p'];
  const { status, stderr } = spawnSync(
    'ffmpeg',
    ['-loglevel', 'error', '-y', ...args, ...encoders[codec]!, '-b:v', '200k', ...format, file],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  const bytes = readFileSync(file);
  const frames = codec === 'H264' ? accessUnits(bytes) : ivfFrames(bytes);
  expect(frames).toHaveLength(framesPerLoop);
  const path = join(folder, `${codec}.json`);
  writeFileSync(path, JSON.stringify(frames.map((frame, index) => [index === 0, frame.toString('base64')])));
  return path;
}

describeWith(
  ['python livekit', 'python livekit 1.2', 'cc', 'ffmpeg'],
  'frames that a Python program has encoded',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'offhook-encoded-'));
    const programs: Program[] = [];
    let server: Awaited<ReturnType<typeof startServer>>;
    beforeAll(async () => {
      server = await startServer({ port: 0 });
    });
    afterAll(async () => {
      await Promise.all(programs.map((program) => program.stop()));
      await server?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    async function joinAs(
      engine: Engine,
      room: string,
      identity: string,
      env: Record<string, string> = {},
    ): Promise<Program> {
      const program = startParticipant(engine, env, 'python');
      programs.push(program);
      await program.waitFor('started', {}, 60_000);
      const token = await makeToken(
        { url: server.url, apiKey: 'devkey', apiSecret: 'secret' },
        room,
        identity,
      );
      await program.call('connect', { url: server.url, token, hearing: null }, 60_000);
      return program;
    }

    test.each([
      ...Object.keys(encoders).map((codec) => [codec, 'livekit', {}] as const),
      ['VP8', 'the later livekit', { PYTHONPATH: laterLivekit }] as const,
    ])('are seen as %s by the native engine, from %s', { timeout: 120_000 }, async (codec, livekit, env) => {
      const path = encode(codec, folder);
      const room = `encoded-${codec}-${livekit.length}`;
      const publisher = await joinAs('offhook', room, 'publisher', env);
      await publisher.call('publishEncoded', { codec, path, ...size, everyMs: 66 });
      expect((await publisher.waitFor('rate')).bitrateBps).toBeGreaterThan(50_000);
      const viewer = await joinAs('native', room, 'viewer');
      const picture = await viewer.waitFor('firstPicture', { identity: 'publisher' }, 30_000);
      expect(picture).toMatchObject(size);
      expect(Math.abs((picture.luma as number) - 139)).toBeLessThan(20);
      // Who comes later cannot begin in the middle: the program is asked for a key frame.
      await publisher.waitFor('keyFrameRequested');
      await Promise.all(programs.splice(0).map((program) => program.stop()));
    });
  },
);
