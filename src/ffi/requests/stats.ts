import { LocalAudioTrack, LocalVideoTrack, RemoteTrack } from '../../room/index.js';
import { sessionStats, trackStats } from '../conversion/stats/index.js';
import type { Handler } from '../handler.js';
import { FfiRoom } from '../objects/ffi-room.js';

export const getStats: Handler<'getStats'> = ({ trackHandle, requestAsyncId }, context) => {
  const track = context.handles.getOneOf<LocalAudioTrack | LocalVideoTrack | RemoteTrack>(trackHandle, [
    LocalAudioTrack,
    LocalVideoTrack,
    RemoteTrack,
  ]);
  return context.call('getStats', requestAsyncId, async () => ({ stats: trackStats(track) }));
};

export const getSessionStats: Handler<'getSessionStats'> = ({ roomHandle, requestAsyncId }, context) => {
  const { room } = context.handles.get(roomHandle, FfiRoom);
  return context.call('getSessionStats', requestAsyncId, async () => ({
    message: { case: 'result' as const, value: sessionStats(room.stats()) },
  }));
};
