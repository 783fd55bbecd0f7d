import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer } from '../../src/server/index.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import type { Engine } from '../support/program.mjs';
import { until } from '../support/until.js';
import { Bare } from './bare.js';

interface Server {
  url: string;
  apiKey: string;
  apiSecret: string;
  stop(): Promise<unknown>;
}

async function startOwnServer(): Promise<Server> {
  const server = await startServer({ port: 0 });
  return { url: server.url, apiKey: 'devkey', apiSecret: 'secret', stop: () => server.close() };
}

const servers = { 'livekit-server': startLivekitServer, 'the room server': startOwnServer };
const withKey = (key: string) => ({
  encryption: {
    encryptionType: 'GCM',
    keyProviderOptions: {
      sharedKey: Buffer.from(key).toString('base64'),
      ratchetWindowSize: 16,
      ratchetSalt: Buffer.from('LKFrameEncryptionKey').toString('base64'),
      failureTolerance: -1,
      keyRingSize: 16,
      keyDerivationFunction: 'PBKDF2',
    },
  },
});
const encryptions = { 'in the clear': {}, encrypted: withKey('a key') };
/** Longer than two packets. */
const longFrame = 40_000;
let rooms = 0;

/** Reads one frame of a stream: the number that its publisher gave it, its length and its timestamp. */
async function readFrame(program: Bare, streamHandle: string) {
  const before = program.events('dataTrackStreamEvent').length;
  await program.request({ dataTrackStreamRead: { streamHandle } });
  await until('a frame', () => program.events('dataTrackStreamEvent').length > before);
  const { frameReceived, eos } = program.events('dataTrackStreamEvent')[before];
  if (eos) return { eos };
  const payload = Buffer.from(frameReceived.frame.payload, 'base64');
  const count = payload.readUInt32BE(0);
  const isWhole = payload.subarray(4).every((byte) => byte === (count & 0xff));
  return { count, isWhole, bytes: payload.length, userTimestamp: frameReceived.frame.userTimestamp };
}

async function subscribe(program: Bare, trackHandle: string, options = {}): Promise<string> {
  const { stream } = await program.request({ subscribeDataTrack: { trackHandle, options } });
  return stream.handle.id;
}

for (const [serverName, start] of Object.entries(servers)) {
  describeWith(['livekit-server', 'native engine'], `data tracks through ${serverName}`, () => {
    let server: Server;
    let programs: Bare[] = [];

    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.stop());

    async function join(engines: Record<string, Engine>, options = {}): Promise<Bare[]> {
      const room = `data-tracks-${++rooms}`;
      programs = await Promise.all(
        Object.entries(engines).map(async ([identity, engine]) => {
          const program = new Bare(engine);
          await program.join(server, room, identity, options);
          return program;
        }),
      );
      return programs;
    }
    const leave = () => Promise.all(programs.splice(0).map((program) => program.stop()));

    const directions: [Engine, Engine][] = [
      ['offhook', 'native'],
      ['native', 'offhook'],
    ];
    for (const [kind, options] of Object.entries(encryptions)) {
      test.each(directions)(`come from the %s to the %s engine, ${kind}`, async (from, to) => {
        const [publisher, subscriber] = await join({ publisher: from, subscriber: to }, options);
        const published = await publisher!.publishDataTrack({ name: 'sensor' });
        const usesE2ee = kind === 'encrypted';
        expect(published.track.info).toMatchObject({ name: 'sensor', usesE2ee });
        expect(published.track.info.sid).toMatch(/^DTR_/);
        const { track } = await subscriber!.event('dataTrackPublished');
        expect(track).toMatchObject({
          publisherIdentity: 'publisher',
          info: { name: 'sensor', usesE2ee, sid: published.track.info.sid },
        });
        const trackHandle = published.track.handle.id;
        const { program } = publisher!;
        await program.call('pushFrames', {
          trackHandle,
          bytes: longFrame,
          everyMs: 20,
          userTimestamp: '123456789012',
        });
        const stream = await subscribe(subscriber!, track.handle.id);
        const first = await readFrame(subscriber!, stream);
        expect(first).toMatchObject({ bytes: longFrame, isWhole: true, userTimestamp: '123456789012' });
        const second = await readFrame(subscriber!, stream);
        expect(second).toMatchObject({ bytes: longFrame, isWhole: true });
        expect(second.count).toBeGreaterThan(first.count!);
        await program.call('stopPushing', { trackHandle });

        await publisher!.request({ localDataTrackUnpublish: { trackHandle } });
        expect(await publisher!.request({ localDataTrackIsPublished: { trackHandle } })).toEqual({
          isPublished: false,
        });
        const { sid } = await subscriber!.event('dataTrackUnpublished');
        expect(sid).toBe(published.track.info.sid);
        const remote = { trackHandle: track.handle.id };
        expect(await subscriber!.request({ remoteDataTrackIsPublished: remote })).toEqual({
          isPublished: false,
        });
        let last = await readFrame(subscriber!, stream);
        while (!last.eos) last = await readFrame(subscriber!, stream);
        expect(last.eos).toEqual({});
        await leave();
      });
    }

    test('are reported as a state, never delivered, to a participant with another key', async () => {
      const [publisher] = await join({ publisher: 'offhook' }, withKey('a key'));
      const stranger = new Bare('offhook');
      programs.push(stranger);
      await stranger.join(server, `data-tracks-${rooms}`, 'stranger', withKey('another key'));
      const { track } = await publisher!.publishDataTrack({ name: 'secret' });
      const trackHandle = track.handle.id;
      await publisher!.program.call('pushFrames', { trackHandle, bytes: 10, everyMs: 20 });
      const remote = await stranger.event('dataTrackPublished');
      const streamHandle = await subscribe(stranger, remote.track.handle.id);
      await stranger.request({ dataTrackStreamRead: { streamHandle } });
      const { participantIdentity } = await stranger.event(
        'e2eeStateChanged',
        ({ state }) => state === 'DECRYPTION_FAILED',
      );
      expect(participantIdentity).toBe('publisher');
      expect(stranger.events('dataTrackStreamEvent')).toEqual([]);
      await leave();
    });

    test('are announced to participants who join later', async () => {
      const [publisher] = await join({ publisher: 'offhook' });
      await publisher!.publishDataTrack({ name: 'early' });
      const late = new Bare('offhook');
      programs.push(late);
      await late.join(server, `data-tracks-${rooms}`, 'late');
      const { track } = await late.event('dataTrackPublished');
      expect(track).toMatchObject({ publisherIdentity: 'publisher', info: { name: 'early' } });
      await leave();
    });

    test('go on after a reconnect of either side', async () => {
      const [publisher, subscriber] = await join({ publisher: 'offhook', subscriber: 'offhook' });
      const { track } = await publisher!.publishDataTrack({ name: 'lasting' });
      const trackHandle = track.handle.id;
      await publisher!.program.call('pushFrames', { trackHandle, bytes: 10, everyMs: 20 });
      const remote = await subscriber!.event('dataTrackPublished');
      let stream = await subscribe(subscriber!, remote.track.handle.id);
      let { count: latest } = await readFrame(subscriber!, stream);
      const reconnect = async (program: Bare, scenario: string) => {
        const before = program.events('reconnected').length;
        await program.call('simulateScenario', { roomHandle: program.roomHandle, scenario });
        await until('a reconnect', () => program.events('reconnected').length > before);
      };
      /** What waited for a reader is from before. */
      const readOn = async () => {
        const last = latest! + 20;
        while (latest! < last) latest = (await readFrame(subscriber!, stream)).count;
      };
      await reconnect(publisher!, 'SIMULATE_SIGNAL_RECONNECT');
      await readOn();
      await reconnect(subscriber!, 'SIMULATE_SIGNAL_RECONNECT');
      await readOn();
      await reconnect(subscriber!, 'SIMULATE_FULL_RECONNECT');
      await readOn();
      expect(subscriber!.events('dataTrackUnpublished')).toEqual([]);
      // To others it is another participant of the same identity.
      await reconnect(publisher!, 'SIMULATE_FULL_RECONNECT');
      await until('the track again', () => subscriber!.events('dataTrackPublished').length === 2);
      expect(subscriber!.events('dataTrackUnpublished')).toHaveLength(1);
      stream = await subscribe(subscriber!, subscriber!.events('dataTrackPublished')[1].track.handle.id);
      await readOn();
      await leave();
    });

    test('are refused as the native engine says it', async () => {
      for (const engine of ['native', 'offhook'] as const) {
        const [publisher] = await join({ [engine]: engine });
        await publisher!.publishDataTrack({ name: 'one' });
        const codeOf = async (options: object, by = publisher!) =>
          (await by.publishDataTrack(options as never)).error?.code;
        expect(await codeOf({ name: 'one' })).toBe('PUBLISH_DATA_TRACK_ERROR_CODE_DUPLICATE_NAME');
        expect(await codeOf({ name: '' })).toBe('PUBLISH_DATA_TRACK_ERROR_CODE_INVALID_NAME');
        expect(await codeOf({ name: 'x'.repeat(257) })).toBe('PUBLISH_DATA_TRACK_ERROR_CODE_INVALID_NAME');
        const protobuf = { wellKnown: 'WELL_KNOWN_FRAME_ENCODING_PROTOBUF' };
        expect(await codeOf({ name: 'two', frameEncoding: protobuf })).toBe(
          'PUBLISH_DATA_TRACK_ERROR_CODE_INVALID_SCHEMA',
        );
        const silent = new Bare(engine);
        programs.push(silent);
        await silent.join(server, `data-tracks-${rooms}`, 'silent', {}, { canPublishData: false });
        expect(await codeOf({ name: 'three' }, silent)).toBe('PUBLISH_DATA_TRACK_ERROR_CODE_NOT_ALLOWED');
        await leave();
      }
    });
  });
}

describeWith(['native engine'], 'schemas of data tracks through the room server', () => {
  let server: Server;
  const programs: Bare[] = [];
  beforeAll(async () => {
    server = await startOwnServer();
  });
  afterAll(async () => {
    await Promise.all(programs.map((program) => program.stop()));
    await server?.stop();
  });

  test.each([
    ['offhook', 'native'],
    ['native', 'offhook'],
  ] as const)('are defined on the %s engine and read on the %s engine', async (from, to) => {
    const [publisher, subscriber] = [new Bare(from), new Bare(to)];
    programs.push(publisher, subscriber);
    await publisher.join(server, `schemas-${from}`, 'publisher');
    await subscriber.join(server, `schemas-${from}`, 'subscriber');
    const schemaId = { name: 'point', encoding: { wellKnown: 'WELL_KNOWN_SCHEMA_ENCODING_JSON_SCHEMA' } };
    const frameEncoding = { wellKnown: 'WELL_KNOWN_FRAME_ENCODING_JSON' };
    const definition = '{"type":"object","title":"Größe"}';
    const define = { localParticipantHandle: publisher.participantHandle, schemaId, definition };
    expect(await publisher.call('defineSchema', define)).not.toHaveProperty('error');
    const { track } = await publisher.publishDataTrack({ name: 'points', schema: schemaId, frameEncoding });
    expect(track.info).toMatchObject({ schema: schemaId, frameEncoding });
    const announced = await subscriber.event('dataTrackPublished');
    expect(announced.track.info).toMatchObject({ schema: schemaId, frameEncoding });
    const read = (name: string) =>
      subscriber.call('getSchema', {
        localParticipantHandle: subscriber.participantHandle,
        schemaId: { ...schemaId, name },
        participantIdentity: 'publisher',
      });
    expect(await read('point')).toMatchObject({ definition });
    expect((await read('circle')).error).toContain('data blob not found');
  });
});
