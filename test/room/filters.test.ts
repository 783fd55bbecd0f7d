import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import {
  type AudioFrame,
  FilterRegistry,
  type RemoteAudioTrack,
  Room,
  rnnoiseModuleId,
  type StreamFilter,
} from '../support/engine.js';
import { describeWith } from '../support/parts.js';
import { levelDbfs } from '../support/tone.js';
import { House } from './house.js';

describeWith(['livekit-server'], 'a stream of a room', () => {
  let house: House;
  const filters = new FilterRegistry({ compiledCode: new URL('../../dist/filters/', import.meta.url) });
  const rooms: Room[] = [];
  beforeAll(async () => {
    house = await House.open();
  });
  afterAll(async () => {
    await Promise.all(rooms.map((room) => room.disconnect()));
    filters.close();
    await house?.close();
  });

  /** Joins a room in which somebody speaks a tone of 1 kHz; returns the frames as they are heard through `filter`. */
  async function listenThrough(
    name: string,
    filter: StreamFilter,
  ): Promise<{ room: Room; frames: AudioFrame[] }> {
    const ada = await house.join(name, 'ada');
    await ada.room.localParticipant.publishAudio(house.tone(1_000));
    const room = new Room({ filters });
    rooms.push(room);
    const frames: AudioFrame[] = [];
    room.onEvent = (event) => {
      if (event.type !== 'trackSubscribed') return;
      (event.track as RemoteAudioTrack).openStream({
        sampleRate: 16_000,
        numChannels: 1,
        filter,
        onFrame: (frame) => void frames.push({ ...frame, data: frame.data.slice() }),
        onEnd: () => {},
      });
    };
    await room.connect(house.server.url, await house.token(name, 'bob'), { iceServers: [] });
    return { room, frames };
  }

  const levelOf = (frames: AudioFrame[]) => levelDbfs(frames.at(-1)?.data ?? new Int16Array(1));

  it('goes through the filter that comes with the engine, and its status says so', async () => {
    const { room, frames } = await listenThrough('rnnoise', { moduleId: rnnoiseModuleId });
    const stream = () => filters.statuses()[0]?.streams[0];
    await vi.waitFor(() => expect(stream()?.frames.processed).toBeGreaterThan(100), 20_000);
    // RNNoise takes a steady tone for noise.
    await vi.waitFor(() => expect(levelOf(frames)).toBeLessThan(-50), 20_000);
    expect(frames.at(-1)).toMatchObject({ sampleRate: 16_000, samplesPerChannel: 160 });
    expect(stream()).toMatchObject({ participantIdentity: 'ada' });
    expect(room.timeline.spans.map(({ stage }) => stage)).toContain('filter-create');
  }, 60_000);

  it('goes through code of the program’s own', async () => {
    const { frames } = await listenThrough('own', {
      process: (frame, done) => done(frame.map((sample) => sample / 4)),
      close: () => {},
    });
    // The tone has an amplitude of 8,000, or -15 dBFS.
    await vi.waitFor(() => expect(Math.abs(levelOf(frames) + 27)).toBeLessThan(1), 10_000);
  });

  it('goes through its filter in a room that the program enters as it hears that the last one is over', async () => {
    const { room, frames } = await listenThrough('first', { moduleId: rnnoiseModuleId });
    const ada = await house.join('second', 'ada');
    await ada.room.localParticipant.publishAudio(house.tone(1_000));
    const token = await house.token('second', 'bob');
    const onTrack = room.onEvent;
    let entered: Promise<void> | undefined;
    room.onEvent = (event) => {
      if (event.type === 'disconnected')
        entered ??= room.connect(house.server.url, token, { iceServers: [] });
      onTrack(event);
    };
    await room.disconnect();
    await entered;
    frames.length = 0;
    const processed = () => filters.statuses()[0]?.streams.at(-1)?.frames.processed ?? 0;
    const before = processed();
    await vi.waitFor(() => expect(frames.length).toBeGreaterThan(50), 20_000);
    await vi.waitFor(() => expect(processed()).toBeGreaterThan(before), 20_000);
  }, 60_000);
});
