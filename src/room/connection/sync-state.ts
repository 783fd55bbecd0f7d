import { SessionDescription, SyncState } from '@livekit/protocol';
import type { DataPlane } from '../data/data-plane.js';
import type { DataTracks } from '../data/data-tracks.js';
import type { Subscriptions } from '../subscriptions.js';
import type { LocalTracks } from '../tracks/local-tracks.js';
import type { Session } from './session.js';

interface SyncStateSources {
  tracks: LocalTracks;
  data: DataPlane;
  dataTracks: DataTracks;
  subscriptions: Subscriptions;
}

/** What a server must know of us to take a session up again (SyncState). */
export function syncState(session: Session, sources: SyncStateSources): SyncState {
  const { tracks, data, dataTracks, subscriptions } = sources;
  const { offer, answer } = session.descriptions;
  return new SyncState({
    ...(offer === undefined ? {} : { offer: new SessionDescription({ type: 'offer', sdp: offer }) }),
    ...(answer === undefined ? {} : { answer: new SessionDescription({ type: 'answer', sdp: answer }) }),
    subscription: subscriptions.exceptions(),
    publishTracks: tracks.publishedTracks(),
    publishDataTracks: dataTracks.local.publishedTracks(),
    dataChannels: session.channelInfos(),
    datachannelReceiveStates: data.receiveStates(),
  });
}
