import { VideoQuality } from '@livekit/protocol';
import { RemoteTrack, RemoteTrackPublication } from '../../room/index.js';
import type { Handler } from '../handler.js';

export const setSubscribed: Handler<'setSubscribed'> = ({ publicationHandle, subscribe }, { handles }) => {
  handles.get(publicationHandle, RemoteTrackPublication).setSubscribed(subscribe ?? false);
  return {};
};

export const enableRemoteTrack: Handler<'enableRemoteTrack'> = ({ trackHandle, enabled }, { handles }) => {
  const { publication } = handles.get(trackHandle, RemoteTrack);
  publication.setEnabled(enabled ?? false);
  return { enabled: publication.isEnabled };
};

export const enableRemoteTrackPublication: Handler<'enableRemoteTrackPublication'> = (
  { trackPublicationHandle, enabled },
  { handles },
) => {
  handles.get(trackPublicationHandle, RemoteTrackPublication).setEnabled(enabled ?? false);
  return {};
};

export const updateRemoteTrackPublicationDimension: Handler<'updateRemoteTrackPublicationDimension'> = (
  { trackPublicationHandle, width = 0, height = 0 },
  { handles },
) => {
  handles.get(trackPublicationHandle, RemoteTrackPublication).setDimensions(width, height);
  return {};
};

export const setRemoteTrackPublicationQuality: Handler<'setRemoteTrackPublicationQuality'> = (
  { trackPublicationHandle, quality },
  { handles },
) => {
  const publication = handles.get(trackPublicationHandle, RemoteTrackPublication);
  publication.setQuality((quality as VideoQuality | undefined) ?? VideoQuality.HIGH);
  return {};
};
