import {
  JoinResponse,
  SignalRequest,
  TrackInfo,
  TrackType,
  type UpdateTrackSettings,
} from '@livekit/protocol';
import { AudioSourceType, AudioStreamType } from '@livekit/rtc-ffi-bindings/proto/audio_frame_pb.js';
import { TrackSource } from '@livekit/rtc-ffi-bindings/proto/track_pb.js';
import { VideoQuality } from '@livekit/rtc-ffi-bindings/proto/track_publication_pb.js';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { RemoteAudioTrack } from '../../src/room/index.js';
import { fakeServer, say } from '../signal/fake-server.js';
import { describeWith } from '../support/parts.js';
import { type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { until } from '../support/until.js';
import { House } from './house.js';
import { frameAt, InProcess } from './in-process.js';
import { ProtocolRoom } from './protocol-room.js';

const sampleRate = 48_000;

describeWith(['livekit-server', 'native engine'], 'by bare requests, tracks', () => {
  const house = new House();
  const ours = new ProtocolRoom();
  const { ffi } = ours;
  let native: Program;
  let sourceHandle: bigint;
  let trackHandle: bigint;
  let publicationHandle: bigint;
  let remoteTrackHandle: bigint;

  beforeAll(async () => {
    native = await house.join('native', 'native');
    await native.call('publishSilence');
    await ours.connect(house, 'ours');
    const { source } = ffi.request({
      case: 'newAudioSource',
      value: { type: AudioSourceType.AUDIO_SOURCE_NATIVE, sampleRate, numChannels: 1 },
    });
    sourceHandle = source!.handle!.id!;
    const { track } = ffi.request({ case: 'createAudioTrack', value: { name: 'voice', sourceHandle } });
    trackHandle = track!.handle!.id!;
    const { localParticipantHandle } = ours;
    const { asyncId } = ffi.request({
      case: 'publishTrack',
      value: { localParticipantHandle, trackHandle, options: { source: TrackSource.SOURCE_MICROPHONE } },
    });
    const { message } = await ffi.waitFor('publishTrack', (value) => value.asyncId === asyncId);
    if (message.case !== 'publication') throw new Error(message.value);
    publicationHandle = message.value.handle!.id!;
    // Only who knows the track already is told that it is muted.
    await native.waitFor('trackSubscribed', { identity: 'ours' });
    remoteTrackHandle = (await ours.waitFor('trackSubscribed')).track!.handle!.id!;
  });
  afterAll(() => ffi.dispose());

  function capture(): void {
    const { info, memory } = frameAt(0x10_000n, new Int16Array(sampleRate / 2), sampleRate);
    ffi.request({ case: 'captureAudioFrame', value: { sourceHandle, buffer: info } }, [memory]);
  }

  test('are muted and unmuted, and the others hear of it', async () => {
    expect(ffi.request({ case: 'localTrackMute', value: { trackHandle, mute: true } }).muted).toBe(true);
    await native.waitFor('trackMuted', { identity: 'ours' });
    await ours.waitFor('trackMuted', ({ participantIdentity }) => participantIdentity === 'ours');
    expect(ffi.request({ case: 'localTrackMute', value: { trackHandle, mute: false } }).muted).toBe(false);
    await native.waitFor('trackUnmuted', { identity: 'ours' });
  });

  test('of a participant are heard through a stream of the participant', async () => {
    const { stream } = ffi.request({
      case: 'audioStreamFromParticipant',
      value: {
        participantHandle: ours.participants.get('native')!,
        type: AudioStreamType.AUDIO_STREAM_NATIVE,
        trackSource: TrackSource.SOURCE_MICROPHONE,
        sampleRate: 16_000,
        numChannels: 1,
      },
    });
    const streamHandle = stream!.handle!.id!;
    const { message } = await ffi.waitFor('audioStreamEvent', (event) => event.streamHandle === streamHandle);
    expect(message.case).toBe('frameReceived');
    ffi.drop(streamHandle);
    await ffi.waitFor(
      'audioStreamEvent',
      (event) => event.streamHandle === streamHandle && event.message.case === 'eos',
    );
  });

  test('refuse a stream of 0 Hz, of 0 or 300 channels or of frames of an hour, and others go on', async () => {
    const newStream = (format: { sampleRate?: number; numChannels?: number; frameSizeMs?: number }) =>
      ffi.request({
        case: 'newAudioStream',
        value: { trackHandle: remoteTrackHandle, type: AudioStreamType.AUDIO_STREAM_NATIVE, ...format },
      });
    const fromParticipant = (format: { sampleRate?: number }) =>
      ffi.request({
        case: 'audioStreamFromParticipant',
        value: {
          participantHandle: ours.participants.get('native')!,
          type: AudioStreamType.AUDIO_STREAM_NATIVE,
          trackSource: TrackSource.SOURCE_CAMERA,
          ...format,
        },
      });
    for (const format of [
      { sampleRate: 0 },
      { numChannels: 0 },
      { numChannels: 300 },
      { frameSizeMs: 3.6e6 },
    ]) {
      expect(() => newStream(format), JSON.stringify(format)).toThrow(/audio stream: .* is not a valid/);
    }
    // Also of a participant whose track is yet to come.
    expect(() => fromParticipant({ sampleRate: 0 })).toThrow(/audio stream: 0 is not a valid sample rate/);
    const streamHandle = newStream({ sampleRate: 8_000 }).stream!.handle!.id!;
    await ffi.waitFor('audioStreamEvent', (event) => event.streamHandle === streamHandle);
    ffi.drop(streamHandle);
  });

  test('wait in a stream for a busy program: as many frames as it says, or 30 seconds', () => {
    const openStream = vi.spyOn(RemoteAudioTrack.prototype, 'openStream');
    onTestFinished(() => openStream.mockRestore());
    for (const value of [{}, { frameSizeMs: 50 }, { queueSizeFrames: 5 }]) {
      const type = AudioStreamType.AUDIO_STREAM_NATIVE;
      const request = { trackHandle: remoteTrackHandle, type, ...value };
      ffi.drop(ffi.request({ case: 'newAudioStream', value: request }).stream!.handle!.id!);
    }
    expect(openStream.mock.calls.map(([options]) => options.queueSizeFrames)).toEqual([3_000, 600, 5]);
  });

  test('give their statistics, sent and received', async () => {
    capture();
    const { stream } = ffi.request({
      case: 'newAudioStream',
      value: { trackHandle: remoteTrackHandle, type: AudioStreamType.AUDIO_STREAM_NATIVE },
    });
    const streamHandle = stream!.handle!.id!;
    await ffi.waitFor('audioStreamEvent', (event) => event.streamHandle === streamHandle);
    for (const [handle, name] of [
      [trackHandle, 'outboundRtp'],
      [remoteTrackHandle, 'inboundRtp'],
    ] as const) {
      const { asyncId } = ffi.request({ case: 'getStats', value: { trackHandle: handle } });
      const { stats } = await ffi.waitFor('getStats', (value) => value.asyncId === asyncId);
      expect(stats.map(({ stats: { case: kind } }) => kind)).toContain(name);
    }
    ffi.drop(streamHandle);
  });

  test('are held back and let go on by the server', async () => {
    const speaker = startParticipant('native');
    onTestFinished(() => speaker.stop());
    await speaker.waitFor('started');
    const token = await makeToken(house.server, house.room, 'speaker');
    await speaker.call('connect', { url: house.server.url, token });
    await speaker.call('publishTone', { hz: 440 });
    const { track } = await ours.waitFor(
      'trackSubscribed',
      ({ participantIdentity }) => participantIdentity === 'speaker',
    );
    const spoken = track!.handle!.id!;
    const received = async () => {
      const { asyncId } = ffi.request({ case: 'getStats', value: { trackHandle: spoken } });
      const { stats } = await ffi.waitFor('getStats', (value) => value.asyncId === asyncId);
      const inbound = stats.find(({ stats: { case: kind } }) => kind === 'inboundRtp')!.stats;
      return inbound.case === 'inboundRtp' ? inbound.value.received!.packetsReceived! : 0n;
    };
    /** Whether packets of the tone, 50 a second, come in the next half second. */
    const isFlowing = async () => {
      const before = await received();
      await new Promise((resolve) => setTimeout(resolve, 500));
      return (await received()) > before;
    };
    const enable = (enabled: boolean) =>
      ffi.request({ case: 'enableRemoteTrack', value: { trackHandle: spoken, enabled } }).enabled;

    await until('packet of the tone', isFlowing);
    expect(enable(false)).toBe(false);
    await until('end of the packets', async () => !(await isFlowing()));
    expect(enable(true)).toBe(true);
    await until('packet after the track is enabled again', isFlowing);
  });

  test('refuse wishes for quality where they are published here', () => {
    const value = { trackPublicationHandle: publicationHandle, quality: VideoQuality.LOW };
    expect(() => ffi.request({ case: 'setRemoteTrackPublicationQuality', value })).toThrow(
      /of a LocalTrackPublication, not of a RemoteTrackPublication/,
    );
  });

  test('are withheld from whom the program does not allow', async () => {
    const { localParticipantHandle } = ours;
    const permissions = [{ participantIdentity: 'native', allowAll: true }];
    ffi.request({
      case: 'setTrackSubscriptionPermissions',
      value: { localParticipantHandle, allParticipantsAllowed: false, permissions },
    });
    const stranger = await house.join('native', 'stranger');
    expect(await stranger.call('members')).toContainEqual({ identity: 'ours', tracks: 1 });
    await stranger.waitFor('trackSubscribed', { identity: 'native' });
    expect(
      stranger.events.some(({ event, identity }) => event === 'trackSubscribed' && identity === 'ours'),
    ).toBe(false);
  });
});

describe('wishes for a remote track', () => {
  test('for its quality, its size and whether it is sent reach the server', async () => {
    const settings: UpdateTrackSettings[] = [];
    const track = new TrackInfo({ sid: 'TR_camera', type: TrackType.VIDEO, width: 1280, height: 720 });
    const join = new JoinResponse({
      room: { sid: 'RM_1', name: 'room' },
      participant: { sid: 'PA_me', identity: 'me' },
      otherParticipants: [{ sid: 'PA_ada', identity: 'ada', tracks: [track] }],
    });
    const server = await fakeServer((socket) => {
      socket.on('message', (bytes) => {
        const { message } = SignalRequest.fromBinary(bytes as Buffer);
        if (message.case === 'trackSetting') settings.push(message.value);
      });
      say(socket, { case: 'join', value: join });
    });
    const ffi = new InProcess();
    try {
      const value = { url: server.url, token: 'a.b.c', options: {} };
      ffi.request({ case: 'connect', value });
      const { message } = await ffi.waitFor('connect');
      if (message.case !== 'result') throw new Error(String(message.value));
      const { publications } = message.value.participants[0]!;
      const trackPublicationHandle = publications[0]!.handle!.id!;
      const next = (what: string) => until(what, () => settings.shift(), { seen: () => settings });

      const quality = { trackPublicationHandle, quality: VideoQuality.LOW };
      ffi.request({ case: 'setRemoteTrackPublicationQuality', value: quality });
      const common = { trackSids: ['TR_camera'], disabled: false };
      expect(await next('setting of the quality')).toMatchObject({ ...common, quality: VideoQuality.LOW });

      const dimension = { trackPublicationHandle, width: 320, height: 240 };
      ffi.request({ case: 'updateRemoteTrackPublicationDimension', value: dimension });
      expect(await next('setting of the size')).toMatchObject({ ...common, width: 320, height: 240 });

      const disable = { trackPublicationHandle, enabled: false };
      ffi.request({ case: 'enableRemoteTrackPublication', value: disable });
      expect(await next('setting that holds it back')).toMatchObject({ ...common, disabled: true });
    } finally {
      await ffi.dispose();
      await server.close();
    }
  });
});
