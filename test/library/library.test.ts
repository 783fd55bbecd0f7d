import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { AccessToken } from 'livekit-server-sdk';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type {
  AudioFrame,
  EncryptionOptions,
  LogRecord,
  NamedEvent,
  RemoteTrack,
  Room,
  RoomEvents,
} from '../../src/index.js';
import { offhook } from './engine-of-the-package.js';

let server: { url: string; close(): Promise<unknown> };
let rooms: Room[] = [];
let roomCount = 0;
let roomName = 'library-0';

beforeAll(async () => {
  server = await serverInAnotherThread();
});
afterAll(() => server.close());

afterEach(async () => {
  await Promise.all(rooms.map((room) => room.disconnect()));
  rooms = [];
  roomName = `library-${++roomCount}`;
});

/** A test that blocks this thread must not block the server. */
async function serverInAnotherThread(): Promise<typeof server> {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData).then(async ({ startServer }) => {
      const server = await startServer({ port: 0 });
      parentPort.postMessage(server.url);
    });`;
  const path = new URL('../../dist/server/index.js', import.meta.url).href;
  const worker = new Worker(code, { eval: true, workerData: path });
  const [url] = await once(worker, 'message');
  return { url, close: () => worker.terminate() };
}

/** Runs Node to its end, and resolves with what it printed as errors. */
async function run(
  args: string[],
  env: Record<string, string>,
): Promise<{ stderr: string; status: number | null }> {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, timeout: 20_000 });
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
  });
  const [status] = await once(child, 'close');
  return { stderr, status };
}

async function tokenOf(identity: string): Promise<string> {
  const token = new AccessToken('devkey', 'secret', { identity });
  token.addGrant({ roomJoin: true, room: roomName, canUpdateOwnMetadata: true });
  return token.toJwt();
}

async function join(identity: string, prepare: (room: Room) => void = () => {}): Promise<Room> {
  const room = new offhook.Room({ name: identity });
  rooms.push(room);
  prepare(room);
  await room.connect(server.url, await tokenOf(identity));
  return room;
}

/** The next such event; fails with its name when there is none within ten seconds. */
function next<Name extends keyof RoomEvents>(room: Room, name: Name): Promise<RoomEvents[Name]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no event ${name} within 10 s`)), 10_000);
    room.once(name, (payload) => {
      clearTimeout(timer);
      resolve(payload);
    });
  });
}

function tone(samplesPerChannel: number, offset = 0): AudioFrame {
  const data = Int16Array.from({ length: samplesPerChannel }, (_, at) =>
    Math.round(8_000 * Math.sin((2 * Math.PI * 440 * (at + offset)) / 48_000)),
  );
  return { data, sampleRate: 48_000, numChannels: 1, samplesPerChannel };
}

async function speak(source: InstanceType<typeof offhook.AudioSource>, signal: AbortSignal): Promise<void> {
  for (let offset = 0; !signal.aborted; offset += 480) await source.captureFrame(tone(480, offset));
}

const loudness = ({ data }: AudioFrame): number => Math.max(...data);

describe('two participants of the library', () => {
  test('hear each other', async () => {
    const ada = await join('ada');
    const bob = await join('bob');
    const subscribed = next(bob, 'trackSubscribed');
    const source = new offhook.AudioSource({ sampleRate: 48_000 });
    const publication = await ada.localParticipant.publishAudio(source);
    const speaking = new AbortController();
    const spoken = speak(source, speaking.signal);
    const { track, participant } = await subscribed;
    expect(publication.source).toBe('microphone');
    expect(ada.localParticipant.publication('microphone')).toBe(publication);
    expect([participant.identity, participant.kind, track.kind]).toEqual(['ada', 'standard', 'audio']);
    const audio = track as InstanceType<typeof offhook.RemoteAudioTrack>;
    for await (const frame of audio.frames({ sampleRate: 16_000, frameSizeMs: 20 })) {
      expect(frame).toMatchObject({ sampleRate: 16_000, numChannels: 1, samplesPerChannel: 320 });
      if (loudness(frame) > 6_000) break;
    }
    speaking.abort();
    await spoken;
  });

  test('go on hearing each other while the thread of the program is blocked', async () => {
    const ada = await join('ada');
    const bob = await join('bob');
    const subscribed = next(bob, 'trackSubscribed');
    const source = new offhook.AudioSource({ sampleRate: 48_000, queueSizeMs: 7_000 });
    await ada.localParticipant.publishAudio(source);
    const { track } = await subscribed;
    const stream = (track as InstanceType<typeof offhook.RemoteAudioTrack>).openStream({
      sampleRate: 48_000,
    });
    const frames = stream[Symbol.asyncIterator]();
    await source.captureFrame(tone(48_000 * 6));
    while (loudness((await frames.next()).value as AudioFrame) < 6_000);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4_000);
    // What was sent and heard meanwhile is there at once; an engine that was blocked too would need three more seconds.
    const unblockedMs = performance.now();
    for (let loud = 0; loud < 300; ) if (loudness((await frames.next()).value as AudioFrame) > 6_000) loud++;
    const elapsedMs = performance.now() - unblockedMs;
    stream.close();
    expect(elapsedMs).toBeLessThan(2_500);
  });

  test('send data, text, bytes and calls', async () => {
    const ada = await join('ada');
    const texts: string[] = [];
    const bob = await join('bob', (room) => {
      room.registerTextStreamHandler('chat', async (reader, { participantIdentity }) => {
        texts.push(`${participantIdentity}: ${await reader.readAll()}`);
      });
      room.registerByteStreamHandler('file', async (reader) => {
        let bytes = 0;
        for await (const piece of reader) bytes += piece.length;
        texts.push(`${reader.info.name}: ${bytes} bytes`);
      });
    });
    bob.localParticipant.registerRpcMethod(
      'order',
      ({ payload, callerIdentity }) => `${payload} for ${callerIdentity}`,
    );
    bob.localParticipant.registerRpcMethod('refuse', () => {
      throw new offhook.RpcError(42, 'no', 'thanks');
    });
    const data = next(bob, 'dataReceived');
    const { localParticipant } = ada;
    await localParticipant.publishData(new TextEncoder().encode('ding'), { topic: 'bell' });
    expect(await data).toMatchObject({ topic: 'bell', reliable: true, participantIdentity: 'ada' });
    expect(new TextDecoder().decode((await data).payload)).toBe('ding');
    await localParticipant.sendText('hello', { topic: 'chat' });
    const writer = await localParticipant.streamBytes({ topic: 'file', name: 'noise.bin' });
    await writer.write(new Uint8Array(40_000));
    await writer.write(new Uint8Array(2));
    await writer.close();
    const call = { destinationIdentity: 'bob', method: 'order', payload: 'soup' };
    expect(await localParticipant.performRpc(call)).toBe('soup for ada');
    const refused = localParticipant.performRpc({ ...call, method: 'refuse' });
    await expect(refused).rejects.toMatchObject({
      name: 'RpcError',
      code: 42,
      message: 'no',
      data: 'thanks',
    });
    const unknown = localParticipant.performRpc({ ...call, method: 'unknown' });
    await expect(unknown).rejects.toMatchObject({ code: offhook.rpcErrorCodes.unsupportedMethod });
    await expect.poll(() => texts.sort()).toEqual(['ada: hello', 'noise.bin: 40002 bytes']);
  });

  test('see what the other changes', async () => {
    const ada = await join('ada');
    const bob = await join('bob');
    const named = next(bob, 'participantNameChanged');
    const changed = next(bob, 'participantAttributesChanged');
    await ada.localParticipant.setName('Ada L.');
    await ada.localParticipant.setAttributes({ mood: 'fine' });
    expect((await named).name).toBe('Ada L.');
    expect((await changed).changed).toEqual({ mood: 'fine' });
    const remote = bob.remoteParticipants.get('ada');
    expect([remote?.name, remote?.attributes]).toEqual(['Ada L.', { mood: 'fine' }]);
    const left = next(bob, 'participantDisconnected');
    await ada.disconnect();
    expect(await left).toMatchObject({ participant: remote, reason: 'clientInitiated' });
    expect(bob.remoteParticipants.size).toBe(0);
  });
});

describe('events of a room', () => {
  test('reach every handler, even when another one throws or rejects', async () => {
    const records: LogRecord[] = [];
    offhook.setLogSink((record) => record.level === 'error' && records.push(record));
    const heard: string[] = [];
    const room = await join('ada', (joining) => {
      joining.on('connectionStateChanged', () => {
        throw new Error('a fault of the program');
      });
      joining.on('connectionStateChanged', () => Promise.reject(new Error('a later fault')));
      joining.on('connectionStateChanged', ({ state }) => heard.push(state));
    });
    await room.disconnect();
    expect(heard).toEqual(['connecting', 'connected', 'disconnected']);
    expect(await room.closed).toEqual({ reason: 'clientInitiated' });
    const own = () => records.filter(({ identity }) => identity === 'ada');
    await vi.waitFor(() =>
      expect(
        own()
          .map(({ message }) => message)
          .join(),
      ).toMatch(/a fault of.*a later fault/),
    );
    expect(own().every(({ room: name }) => name === roomName)).toBe(true);
  });

  test('can be iterated over, until the room is over', async () => {
    const room = await join('ada');
    const seen: NamedEvent<RoomEvents>['type'][] = [];
    const reading = (async () => {
      for await (const event of room.events()) seen.push(event.type);
    })();
    await join('bob');
    await expect.poll(() => seen).toContain('participantConnected');
    await room.disconnect();
    await reading;
    expect(seen).toContain('disconnected');
  });

  test('distinguish a resume from a new session', async () => {
    const states: string[] = [];
    const room = await join('ada', (joining) =>
      joining.on('connectionStateChanged', ({ state }) => states.push(state)),
    );
    const reconnected = next(room, 'reconnected');
    await room.simulate('signalReconnect');
    await reconnected;
    expect(states).toEqual(['connecting', 'connected', 'resuming', 'connected']);
  });

  test('stop with off, and come once with once', async () => {
    const room = new offhook.Room();
    const heard: string[] = [];
    const handler = () => heard.push('on');
    room.on('connectionStateChanged', handler).once('connectionStateChanged', () => heard.push('once'));
    await room.connect('ws://127.0.0.1:1', 'token').catch(() => {});
    room.off('connectionStateChanged', handler);
    await room.connect('ws://127.0.0.1:1', 'token').catch(() => {});
    expect(heard).toEqual(['on', 'once', 'on']);
  });
});

describe('a connect', () => {
  test('that fails says where, after how long, and what can be done', async () => {
    const failed = new offhook.Room().connect('ws://127.0.0.1:1', 'token');
    await expect(failed).rejects.toMatchObject({
      name: 'OffhookError',
      code: 'OFFHOOK_UNREACHABLE',
      stage: 'tcp',
      host: '127.0.0.1:1',
      elapsedMs: expect.any(Number),
      message: expect.stringContaining('check host and port'),
    });
  });

  test('that is aborted rejects with the reason and leaves nothing behind', async () => {
    const reason = new Error('the caller hung up');
    const aborted = new offhook.Room();
    await expect(
      aborted.connect(server.url, await tokenOf('ada'), { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason);
    const controller = new AbortController();
    const room = new offhook.Room();
    const connecting = room.connect(server.url, await tokenOf('ada'), { signal: controller.signal });
    controller.abort(reason);
    await expect(connecting).rejects.toBe(reason);
    expect(room.connectionState).toBe('disconnected');
    const witness = await join('bob');
    await expect.poll(() => [...witness.remoteParticipants.keys()]).toEqual([]);
  });

  test.each(['abort', 'disconnect'] as const)('that ends by %s closes its socket at once', async (how) => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const reached = once(silent, 'connection');
    const controller = new AbortController();
    const room = new offhook.Room();
    const url = `ws://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const failed = room
      .connect(url, 'token', { signal: controller.signal })
      .catch((thrown: unknown) => thrown);
    const [socket] = (await reached) as [Socket];
    const closed = once(socket.resume(), 'close');
    const startedMs = performance.now();
    if (how === 'abort') controller.abort(new Error('the caller hung up'));
    else await room.disconnect();
    const expected = { abort: { message: 'the caller hung up' }, disconnect: { code: 'OFFHOOK_ABORTED' } };
    expect(await failed).toMatchObject(expected[how]);
    await closed;
    // The deadline of the step that was under way is 5 s.
    expect(performance.now() - startedMs).toBeLessThan(2_500);
    expect(room.connectionState).toBe('disconnected');
    silent.close();
  });

  test('takes deadlines, and a room keeps its timeline', async () => {
    const late = new offhook.Room().connect('ws://192.0.2.1:9', 'token', { deadlines: { connect: 50 } });
    await expect(late).rejects.toMatchObject({
      code: expect.stringMatching(/OFFHOOK_(DEADLINE|UNREACHABLE)/),
    });
    const room = await join('ada');
    const { spans, ...subject } = room.timeline;
    expect(subject).toMatchObject({ name: 'ada', url: server.url, room: roomName, identity: 'ada' });
    expect(spans.map(({ stage }) => stage)).toEqual(expect.arrayContaining(['websocket', 'join']));
    expect(offhook.renderTimelineText(room.timeline)).toContain('websocket');
    await room.disconnect();
    await room.connect(server.url, await tokenOf('ada'));
    const { startedAt, spans: later } = room.timeline;
    expect(later.filter(({ stage }) => stage === 'join')).toHaveLength(1);
    expect(new Date(startedAt) > new Date(subject.startedAt)).toBe(true);
  });

  test('is left at the end of the block that declares it with await using', async () => {
    const witness = await join('bob');
    const left = next(witness, 'participantDisconnected');
    const room = await join('ada');
    await room[Symbol.asyncDispose]();
    expect((await left).participant.identity).toBe('ada');
  });
});

test('a filter that is not there is an error that names it', () => {
  const register = () => offhook.registerAudioFilter({ moduleId: 'gain', modulePath: '/nowhere/gain.mjs' });
  expect(register).toThrow(/gain\.mjs does not exist/);
  expect(register).toThrow(expect.objectContaining({ code: 'OFFHOOK_FILTER' }));
});

test('variables that cannot be used are reported once, at the start, and the room is joined', async () => {
  const program = `
    import { Room } from ${JSON.stringify(new URL('../../dist/engine/index.js', import.meta.url).href)};
    for (let i = 0; i < 2; i++) {
      const room = new Room();
      await room.connect(${JSON.stringify(server.url)}, ${JSON.stringify(await tokenOf('ada'))});
      await room.disconnect();
    }`;
  const { stderr, status } = await run(['--input-type=module', '-e', program], {
    OFFHOOK_LOG: 'loud',
    OFFHOOK_TIMELINE: '/proc/nowhere',
  });
  expect(status).toBe(0);
  const reported = stderr.split('\n').filter((line) => line.startsWith('offhook: '));
  expect(reported).toEqual([
    expect.stringContaining('OFFHOOK_LOG is "loud", not one of error, warn, info, debug'),
    expect.stringContaining('OFFHOOK_TIMELINE is not a folder that can be written to'),
  ]);
  expect(stderr).not.toContain('timeline cannot be written');
});

describe('arguments', () => {
  const room = () => new offhook.Room();
  const invalid = { name: 'OffhookError', code: 'OFFHOOK_INVALID_REQUEST' };

  test.each([
    ['no URL', () => room().connect(undefined as never, 'token'), /LIVEKIT_URL/],
    ['no token', () => room().connect('ws://127.0.0.1:1', undefined as never), /access token is undefined/],
    [
      'a misspelt deadline',
      () => room().connect('ws://h', 't', { deadlines: { conect: 1 } as never }),
      /no option "conect"/,
    ],
    [
      'a misspelt option',
      () => room().connect('ws://h', 't', { autosubscribe: true } as never),
      /no option "autosubscribe"/,
    ],
    [
      'a deadline that is none',
      () => room().connect('ws://h', 't', { deadlines: { connect: -1 } }),
      /not a deadline/,
    ],
  ])('of connect: %s is an error that names it', async (_, connect, message) => {
    const error = await connect().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ ...invalid, message: expect.stringMatching(message) });
  });

  test.each([
    ['a misspelt event', () => room().on('participantconnected' as never, () => {}), /participantconnected/],
    ['a handler that is none', () => room().on('disconnected', undefined as never), /is undefined/],
    ['a source of no rate', () => new offhook.AudioSource({} as never), /sample rate/],
    [
      'a source with a misspelt option',
      () => new offhook.AudioSource({ sampleRate: 48_000, channels: 2 } as never),
      /"channels"/,
    ],
    ['a property of a room that was not joined', () => room().localParticipant, /has not been joined/],
  ])('%s is an error that says so', (_, act, message) => {
    expect(act).toThrow(message);
  });

  test('of what is sent are checked', async () => {
    const { localParticipant } = await join('ada');
    const source = new offhook.AudioSource({ sampleRate: 48_000 });
    const short = source.captureFrame({ ...tone(10), samplesPerChannel: 480 });
    await expect(short).rejects.toMatchObject({
      ...invalid,
      message: expect.stringContaining('10 samples are not 480'),
    });
    const otherRate = source.captureFrame({ ...tone(480), sampleRate: 16_000 });
    await expect(otherRate).rejects.toMatchObject(invalid);
    await expect(localParticipant.publishData('hello' as never)).rejects.toMatchObject(invalid);
    await expect(localParticipant.publishDtmf(-1, '5')).rejects.toMatchObject(invalid);
    await expect(localParticipant.unpublish('TR_none')).rejects.toMatchObject({ name: 'OffhookError' });
    await expect(
      localParticipant.performRpc({
        destinationIdentity: 'bob',
        method: 'order',
        responseTimeoutMs: 10_000.5,
      }),
    ).rejects.toMatchObject(invalid);
  });
});

// Each is given what a program without types may give it, and must answer with an error that has a code.
test('every argument of the library is checked', async () => {
  const ada = await join('ada');
  const bob = await join('bob');
  const subscribed = next(bob, 'trackSubscribed');
  const source = new offhook.AudioSource({ sampleRate: 48_000 });
  const camera = new offhook.VideoSource({ width: 64, height: 64 });
  const encoded = new offhook.EncodedVideoSource({ width: 64, height: 64 });
  const silence = new Int16Array(480);
  const publication = await ada.localParticipant.publishAudio(source);
  const { track, publication: remote } = await subscribed;
  const audio = track as InstanceType<typeof offhook.RemoteAudioTrack>;
  const me = ada.localParticipant;
  const picture = { data: new Uint8Array(64 * 64 * 4), format: 'rgba', width: 64, height: 64 } as const;
  const frame = tone(480);
  const said = { id: '1', text: 't', startTimeMs: 0, endTimeMs: 1, final: true, language: 'en' };
  const connect = (options: object) => new offhook.Room().connect('ws://127.0.0.1:1', 't', options);
  const transcribe = (segments: unknown) =>
    me.publishTranscription({ participantIdentity: 'ada', trackSid: 'TR', segments: segments as never });
  const cyclic: { self?: object } = {};
  cyclic.self = cyclic;
  const calls: Record<string, (value: never) => unknown> = {
    Room: (value) => new offhook.Room(value),
    signal: (signal) => connect({ signal }),
    iceServers: (iceServers) => connect({ iceServers }),
    'an ICE server': (server) => connect({ iceServers: [server] }),
    'a URL of an ICE server': (url) => connect({ iceServers: [{ urls: [url] }] }),
    'a user of an ICE server': (username) => connect({ iceServers: [{ urls: [], username }] }),
    deadlines: (deadlines) => connect({ deadlines }),
    'a deadline': (ms) => connect({ deadlines: { connect: ms } }),
    encryption: (encryption) => connect({ encryption }),
    on: (handler) => ada.on('disconnected', handler),
    off: (handler) => ada.off('disconnected', handler),
    publication: (source) => me.publication(source),
    'publication of another': (source) => bob.remoteParticipants.get('ada')!.publication(source),
    digit: (digit) => me.publishDtmf(1, digit),
    frameEncoding: (frameEncoding) => me.publishDataTrack({ name: 'data', frameEncoding }),
    'captureFrame of encoded video': (value) => encoded.captureFrame(value),
    unregisterTextStreamHandler: (topic) => ada.unregisterTextStreamHandler(topic),
    unregisterByteStreamHandler: (topic) => ada.unregisterByteStreamHandler(topic),
    simulate: (scenario) => ada.simulate(scenario),
    publishAudio: (value) => me.publishAudio(value),
    'publishAudio of video': () => me.publishAudio(camera as never),
    publishVideo: (value) => me.publishVideo(value),
    'publishVideo of audio': () => me.publishVideo(source as never),
    publishTrack: (value) => me.publishTrack(value),
    sendText: (value) => me.sendText(value),
    sendBytes: (value) => me.sendBytes(value),
    sendFile: (value) => me.sendFile(value),
    setAttributes: (value) => me.setAttributes(value),
    performRpc: (value) => me.performRpc(value),
    segments: (segments) => transcribe(segments),
    segment: (segment) => transcribe([segment]),
    'text of a segment': (text) => transcribe([{ ...said, text }]),
    permissions: (value) => me.setTrackSubscriptionPermissions(true, value),
    permission: (value) => me.setTrackSubscriptionPermissions(true, [value]),
    allowAll: (allowAll) =>
      me.setTrackSubscriptionPermissions(true, [{ participantIdentity: 'bob', allowAll }]),
    captureFrame: (value) => source.captureFrame(value),
    samplesPerChannel: (samplesPerChannel) => source.captureFrame({ ...frame, samplesPerChannel }),
    'captureFrame of video': (value) => camera.captureFrame(value),
    rotation: (rotation) => camera.captureFrame({ ...picture, rotation }),
    convertVideoFrame: (value) => offhook.convertVideoFrame(value, 'i420'),
    flipY: (flipY) => offhook.convertVideoFrame(picture, 'i420', { flipY }),
    LocalAudioTrack: (value) => new offhook.LocalAudioTrack('name', value),
    LocalVideoTrack: (value) => new offhook.LocalVideoTrack('name', value),
    setMuted: (value) => publication.setMuted(value),
    setSubscribed: (value) => remote.setSubscribed(value),
    filter: (filter) => audio.openStream({ filter }),
    'filter.process': (process) => audio.openStream({ filter: { process } }),
    'filter.moduleId': (moduleId) => audio.openStream({ filter: { moduleId } }),
    'filter.options': () => audio.openStream({ filter: { moduleId: 'gain', options: cyclic } }),
    registerAudioFilter: (value) => offhook.registerAudioFilter(value),
    AudioProcessing: (value) => new offhook.AudioProcessing(value),
    'AudioProcessing.process': (value) => new offhook.AudioProcessing({}).process(value, 48_000, 1),
    'sampleRate of AudioProcessing': (rate) => new offhook.AudioProcessing({}).process(silence, rate, 1),
    'numChannels of AudioProcessing': (count) =>
      new offhook.AudioProcessing({}).process(silence, 48_000, count),
    'AudioProcessing.setStreamDelay': (value) => new offhook.AudioProcessing({}).setStreamDelay(value),
    RpcError: (value) => new offhook.RpcError(value, 'no'),
  };
  const unchecked: string[] = [];
  for (const [name, call] of Object.entries(calls)) {
    // Of each there is one sort of values that it takes; these are of no sort that any of them takes.
    for (const value of [null, Symbol('s'), () => {}, -1.5, 5n]) {
      if (/^(on|off)$/.test(name) && typeof value === 'function') continue;
      if (name.startsWith('filter.process') && typeof value === 'function') continue;
      const error = await new Promise((resolve) => resolve(call(value as never))).catch((thrown) => thrown);
      const isRefused = error instanceof offhook.OffhookError && error.code === 'OFFHOOK_INVALID_REQUEST';
      if (!isRefused) unchecked.push(`${name}(${String(value)}): ${error}`);
    }
  }
  expect(unchecked).toEqual([]);
});

test('audio is processed at every rate', () => {
  const all = { highPass: true, echoCancellation: true, noiseSuppression: true, gainControl: true };
  for (const rate of [16_000, 48_000]) {
    const processing = new offhook.AudioProcessing(all);
    const samples = tone(rate / 100).data;
    processing.processReverse(samples.slice(), rate, 1);
    processing.process(samples, rate, 1);
    processing.close();
  }
});

test('an RPC handler whose room is over when it returns ends nothing', async () => {
  const ada = await join('ada');
  const bob = await join('bob');
  let answer: (payload: string) => void = () => {};
  const isCalled = new Promise<void>((resolve) => {
    ada.localParticipant.registerRpcMethod('slow', () => {
      resolve();
      return new Promise((settle) => {
        answer = settle;
      });
    });
  });
  const call = bob.localParticipant.performRpc({ destinationIdentity: 'ada', method: 'slow' });
  const failed = expect(call).rejects.toMatchObject({ name: 'RpcError' });
  await isCalled;
  await ada.disconnect();
  await failed;
  // An answer that fails unhandled fails this file.
  answer('too late');
  await new Promise((resolve) => setImmediate(resolve));
});

test('using what is closed is an error that names it', async () => {
  const expectClosed = async (message: string, acts: (() => unknown)[]) => {
    for (const act of acts) {
      const error = await (async () => act())().catch((thrown: unknown) => thrown);
      expect(error, String(act)).toMatchObject({ name: 'OffhookError', code: 'OFFHOOK_CLOSED', message });
    }
  };
  const ada = await join('ada');
  const me = ada.localParticipant;
  const source = new offhook.AudioSource({ sampleRate: 48_000 });
  const writer = await me.streamText({ topic: 'chat' });
  await writer.close();
  source.close();
  await expectClosed('the stream is closed', [() => writer.write('late'), () => writer.close()]);
  await expectClosed('the source is closed', [
    () => source.captureFrame(tone(480)),
    () => source.clearQueue(),
    () => me.publishAudio(source),
  ]);
  await ada.disconnect();
  await expectClosed('the room is over', [
    () => me.publishData(new Uint8Array(1)),
    () => me.sendText('late'),
    () => me.setName('late'),
    () => me.performRpc({ destinationIdentity: 'bob', method: 'm' }),
    () => me.registerRpcMethod('m', () => ''),
    () => me.publishDataTrack({ name: 'late' }),
  ]);
  await expectClosed('the room is over. Connect again.', [() => ada.simulate('speaker')]);
});

test('a filter of the program that throws is reported once, and the audio passes', async () => {
  const records: LogRecord[] = [];
  offhook.setLogSink(
    (record) => record.message.includes('filter of an audio stream') && records.push(record),
  );
  const ada = await join('ada');
  const bob = await join('bob');
  const subscribed = next(bob, 'trackSubscribed');
  const source = new offhook.AudioSource({ sampleRate: 48_000 });
  await ada.localParticipant.publishAudio(source);
  const speaking = new AbortController();
  const spoken = speak(source, speaking.signal);
  const track = (await subscribed).track as InstanceType<typeof offhook.RemoteAudioTrack>;
  const filter = {
    process(): AudioFrame {
      throw new Error('a fault of the filter');
    },
  };
  let loud = 0;
  for await (const received of track.frames({ filter })) if (loudness(received) > 6_000 && ++loud > 5) break;
  speaking.abort();
  await spoken;
  const messages = () => records.map(({ message }) => message);
  await vi.waitFor(() => expect(messages()).toEqual([expect.stringContaining('a fault of the filter')]));
});

test('a track that ended ends its streams', async () => {
  const ada = await join('ada');
  const bob = await join('bob');
  const subscribed = next(bob, 'trackSubscribed');
  const publication = await ada.localParticipant.publishAudio(
    new offhook.AudioSource({ sampleRate: 48_000 }),
  );
  const track: RemoteTrack = (await subscribed).track;
  const reading = (async () => {
    for await (const _ of (track as InstanceType<typeof offhook.RemoteAudioTrack>).frames());
  })();
  await ada.localParticipant.unpublish(publication.sid);
  await reading;
});

describe('a room that is encrypted', () => {
  async function joinEncrypted(identity: string, encryption: EncryptionOptions): Promise<Room> {
    const room = new offhook.Room({ name: identity });
    rooms.push(room);
    await room.connect(server.url, await tokenOf(identity), { encryption });
    return room;
  }
  const bytes = (text: string) => new TextEncoder().encode(text);
  const text = (payload: Uint8Array | undefined) => new TextDecoder().decode(payload);

  test('is decrypted with the right key, and a wrong key is reported as a state', async () => {
    const ada = await joinEncrypted('ada', { key: 'the key' });
    const bob = await joinEncrypted('bob', { key: bytes('the key') });
    const eve = await joinEncrypted('eve', { key: 'another', ratchetWindowSize: 0 });
    const read = next(bob, 'dataReceived');
    const state = next(eve, 'encryptionStateChanged');
    const received: string[] = [];
    eve.on('dataReceived', ({ payload }) => received.push(text(payload)));
    await ada.localParticipant.publishData(bytes('a secret'));
    expect(text((await read).payload)).toBe('a secret');
    expect(await state).toMatchObject({ participantIdentity: 'ada', state: 'decryptionFailed' });
    eve.encryption.setKey('the key');
    const readAtLast = next(eve, 'dataReceived');
    await ada.localParticipant.publishData(bytes('another secret'));
    expect(text((await readAtLast).payload)).toBe('another secret');
    expect(received).toEqual(['another secret']);
  });

  test('says of each stream whether it was encrypted', async () => {
    const ada = await joinEncrypted('ada', { key: 'the key' });
    const bob = await joinEncrypted('bob', { key: 'the key' });
    const eve = await join('eve');
    const received = new Promise<boolean[]>((resolve) => {
      const flags: boolean[] = [];
      const take = (info: { isEncrypted: boolean }) => {
        flags.push(info.isEncrypted);
        if (flags.length === 3) resolve(flags);
      };
      bob.registerTextStreamHandler('told', ({ info }) => take(info));
      bob.registerByteStreamHandler('told', ({ info }) => take(info));
    });
    expect(await ada.localParticipant.sendText('a secret', { topic: 'told' })).toMatchObject({
      isEncrypted: true,
    });
    const writer = await ada.localParticipant.streamBytes({ topic: 'told' });
    expect(writer.info.isEncrypted).toBe(true);
    await writer.close();
    expect(await eve.localParticipant.sendText('no secret', { topic: 'told' })).toMatchObject({
      isEncrypted: false,
    });
    expect((await received).toSorted()).toEqual([false, true, true]);
  });

  test('has keys of each participant, by index, that can be ratcheted', async () => {
    const options = { derivation: 'hkdf' } as const;
    const ada = await joinEncrypted('ada', options);
    const bob = await joinEncrypted('bob', options);
    await expect(ada.localParticipant.publishData(bytes('too early'))).rejects.toThrow(/no key 0/);
    for (const room of [ada, bob]) room.encryption.setParticipantKey('ada', 'of Ada', 2);
    expect(text(ada.encryption.participantKey('ada', 2))).toBe('of Ada');
    expect(ada.encryption.participantKey('ada', 0)).toBeUndefined();
    const ratcheted = ada.encryption.ratchetParticipantKey('ada', 2);
    expect(ada.encryption.participantKey('ada', 2)).toEqual(ratcheted);
    const read = next(bob, 'dataReceived');
    await ada.localParticipant.publishData(bytes('with the ratcheted key'));
    expect(text((await read).payload)).toBe('with the ratcheted key');
    expect(bob.encryption.participantKey('ada', 2)).toEqual(ratcheted);
  });

  test('lists its tracks; encryption and key index can be set for each', async () => {
    const ada = await joinEncrypted('ada', { key: 'the key', derivation: 'hkdf' });
    const source = new offhook.AudioSource({ sampleRate: 48_000 });
    const { sid, info } = await ada.localParticipant.publishAudio(source);
    expect(info.isEncrypted).toBe(true);
    await vi.waitFor(() => expect(ada.encryption.tracks).toHaveLength(1));
    const track = { participantIdentity: 'ada', trackSid: sid };
    expect(ada.encryption.tracks).toEqual([{ ...track, keyIndex: 0, isEnabled: true }]);
    ada.encryption.setKey('the next key', 1);
    ada.encryption.setTrackKeyIndex(ada.encryption.tracks[0]!, 1);
    ada.encryption.setTrackEnabled(ada.encryption.tracks[0]!, false);
    expect(ada.encryption.tracks).toEqual([{ ...track, keyIndex: 1, isEnabled: false }]);
    ada.encryption.setEnabled(true);
    expect(ada.encryption.tracks).toMatchObject([{ isEnabled: true }]);
    expect(() => ada.encryption.ratchetKey(7)).toThrow(/no key 7/);
  });

  test('refuses unknown options, and has no keys without encryption', async () => {
    const wrong = { key: 'k', cipher: 'rot13' } as EncryptionOptions;
    await expect(joinEncrypted('ada', wrong)).rejects.toThrow(/no option "cipher"/);
    await expect(joinEncrypted('ada', { key: '' })).rejects.toThrow(/encryption.key/);
    const bob = await join('bob');
    expect(() => bob.encryption).toThrow(/not joined with encryption/);
  });
});
