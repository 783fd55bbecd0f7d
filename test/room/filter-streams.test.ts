import { describe, expect, test } from 'vitest';
import { FilterStreams } from '../../src/room/filter-streams.js';
import type { RoomFilters, StreamInfo } from '../../src/room/options.js';
import { Timeline } from '../../src/timeline/index.js';

const url = 'wss://example.test';

/** Filters that write down what they are told. */
function recorder() {
  const calls: unknown[] = [];
  const filters: RoomFilters = {
    roomConnecting: (room) => calls.push(['connecting', room.url, room.token, room.loadDeadlineMs]),
    roomClosed: (closed) => calls.push(['closed', closed]),
    updateToken: (_url, token) => calls.push(['token', token]),
    create: (moduleId, { optionsJson, streamInfo }) => {
      calls.push(['create', moduleId, optionsJson, streamInfo]);
      return {
        inputRate: 48_000,
        process: (_frame, done) => done(undefined),
        updateStreamInfo: (info: StreamInfo) => calls.push(['info', info]),
        close: () => calls.push(['close']),
      };
    },
  };
  return { calls, filters };
}

function open() {
  const { calls, filters } = recorder();
  const room = { roomId: '', roomName: 'room', participantId: 'PA_1' };
  const streams = new FilterStreams({
    filters,
    url,
    token: 'first',
    timeline: new Timeline('room'),
    joined: Promise.resolve(),
    loadDeadlineMs: 1_000,
    describe: () => ({ ...room }),
  });
  const filter = streams.create(
    { moduleId: 'nc', options: { model: 'm' } },
    { trackId: 'TR_1', participantIdentity: 'caller', sampleRate: 24_000, numChannels: 1 },
  );
  const info = { url, ...room, participantIdentity: 'caller', trackId: 'TR_1' };
  return { calls, room, streams, filter, info };
}

describe('the filters of a room', () => {
  test('hear of it when it connects, and of the stream, under the URL that the program gave', () => {
    const { calls, filter, info } = open();
    expect(calls).toEqual([
      ['connecting', url, 'first', 1_000],
      ['create', 'nc', '{"model":"m"}', info],
    ]);
    expect(filter.inputRate).toBe(48_000);
  });

  test('hear of new names of the room, once, and only while their stream is open', () => {
    const { calls, room, streams, filter, info } = open();
    calls.length = 0;
    streams.update();
    room.roomId = 'RM_1';
    streams.update();
    streams.update();
    expect(calls).toEqual([['info', { ...info, roomId: 'RM_1' }]]);
    filter.close();
    room.roomId = 'RM_2';
    streams.update();
    expect(calls.slice(1)).toEqual([['close']]);
  });

  test('hear of fresh tokens and, once, of the end', () => {
    const { calls, streams } = open();
    calls.length = 0;
    streams.updateToken('second');
    streams.close();
    streams.close();
    expect(calls).toEqual([
      ['token', 'second'],
      ['closed', url],
    ]);
  });
});
