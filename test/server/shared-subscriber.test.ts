import { TrackInfo, TrackType } from '@livekit/protocol';
import { beforeEach, describe, expect, test } from 'vitest';
import { Boundary } from '../../src/server/boundary.js';
import type { Codec } from '../../src/server/sfu/codecs.js';
import { DataOutbox } from '../../src/server/sfu/data-outbox.js';
import type { OfferedMedia } from '../../src/server/sfu/publisher-answer.js';
import { SharedSubscriber } from '../../src/server/sfu/shared-subscriber.js';
import { UpTrack } from '../../src/server/sfu/up-track.js';

const opus: Codec = { payloadType: 111, name: 'opus', clockRate: 48_000, parameters: '', feedback: [] };
const vp8: Codec = { payloadType: 96, name: 'VP8', clockRate: 90_000, parameters: '', feedback: [] };
const h264: Codec = {
  ...vp8,
  payloadType: 102,
  name: 'H264',
  parameters: 'packetization-mode=1;profile-level-id=42e01f',
};

function published(sid: string, codec: Codec): UpTrack {
  const kind = codec.clockRate === 48_000 ? 'audio' : 'video';
  const info = new TrackInfo({ sid, type: kind === 'audio' ? TrackType.AUDIO : TrackType.VIDEO });
  const track = new UpTrack({ info, sendRtcp: () => {} }, kind);
  track.codecs = [codec];
  return track;
}

function section(mid: string, codec: Codec): OfferedMedia {
  const kind = codec.clockRate === 48_000 ? 'audio' : 'video';
  const common = { streamId: '', trackId: '', extensions: [], ssrcs: [], rids: [] };
  return { ...common, mid, kind, sending: false, receiving: true, codecs: [codec] };
}

describe('receiving on the connection that one publishes on', () => {
  let required: [number, number][];
  let accepted: string[];
  let subscriber: SharedSubscriber;

  beforeEach(() => {
    required = [];
    accepted = [];
    subscriber = new SharedSubscriber({
      boundary: new Boundary('test'),
      outbox: new DataOutbox(),
      send: () => {},
      takesTrailers: false,
      requireSections: (audios, videos) => required.push([audios, videos]),
      onTrackAccepted: ({ upTrack }) => accepted.push(upTrack.sid),
    });
  });

  /** The client offers these sections and gets its answer. */
  function offer(...sections: OfferedMedia[]): Record<string, string> {
    subscriber.place(sections);
    subscriber.placed();
    return subscriber.midToTrackId();
  }

  test('tracks that are there before the first offer are placed on it, and none is asked for', () => {
    subscriber.addTrack(published('TR_a', opus), 'PA_x');
    expect(offer(section('1', opus), section('2', vp8))).toEqual({ '1': 'TR_a' });
    expect(accepted).toEqual(['TR_a']);
    expect(required).toEqual([]);
  });

  test('an offer is asked for when a track comes later, with as many more sections as are missing', () => {
    offer(section('1', opus));
    subscriber.addTrack(published('TR_a', opus), 'PA_x');
    subscriber.addTrack(published('TR_b', opus), 'PA_x');
    expect(required).toEqual([[0, 0]]);
    expect(offer(section('1', opus))).toEqual({ '1': 'TR_a' });
    expect(required).toEqual([
      [0, 0],
      [1, 0],
    ]);
    expect(offer(section('1', opus), section('2', opus))).toEqual({ '1': 'TR_a', '2': 'TR_b' });
    expect(required).toHaveLength(2);
  });

  test('a section is empty once before it carries another track', () => {
    subscriber.addTrack(published('TR_a', opus), 'PA_x');
    offer(section('1', opus));
    subscriber.removeTrack('TR_a');
    subscriber.addTrack(published('TR_b', opus), 'PA_x');
    expect(offer(section('1', opus))).toEqual({});
    expect(required.at(-1)).toEqual([0, 0]);
    expect(offer(section('1', opus))).toEqual({ '1': 'TR_b' });
  });

  test('a codec keeps the client’s payload type, and must have the same format', () => {
    const other = { ...h264, payloadType: 108, parameters: 'packetization-mode=0;profile-level-id=42e01f' };
    const same = {
      ...h264,
      payloadType: 125,
      parameters: 'level-asymmetry-allowed=1;profile-level-id=42e01f;packetization-mode=1',
    };
    subscriber.addTrack(published('TR_v', h264), 'PA_x');
    const placements = subscriber.place([{ ...section('1', other), codecs: [other, same] }]);
    expect(placements.get('1')?.codecs.map(({ payloadType }) => payloadType)).toEqual([125]);
    expect(placements.get('1')?.msid).toMatchObject({ streamId: 'PA_x|TR_v', trackId: 'TR_v' });
  });

  test('a track in no format that the client plays is left out, and not asked for again and again', () => {
    subscriber.addTrack(published('TR_v', vp8), 'PA_x');
    expect(offer(section('1', h264))).toEqual({});
    expect(required).toEqual([]);
    expect(subscriber.downTracks.size).toBe(0);
  });

  test('what was asked for is asked again after the signalling connection was lost', () => {
    offer();
    subscriber.addTrack(published('TR_a', opus), 'PA_x');
    subscriber.resumed();
    expect(required).toEqual([
      [1, 0],
      [1, 0],
    ]);
  });
});
