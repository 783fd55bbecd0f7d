import { protocol } from '../ffi/index.js';

/*
 * What the server says in numbers, as the library's users read it: in words. `unknown` stands for a number of a later
 * protocol.
 */

export type TrackKind = 'audio' | 'video' | 'unknown';
export type TrackSource = 'camera' | 'microphone' | 'screenshare' | 'screenshareAudio' | 'unknown';
export type ParticipantKind =
  | 'standard'
  | 'ingress'
  | 'egress'
  | 'sip'
  | 'agent'
  | 'connector'
  | 'bridge'
  | 'unknown';
export type ParticipantState = 'joining' | 'joined' | 'active' | 'disconnected' | 'unknown';
export type ConnectionQuality = 'poor' | 'good' | 'excellent' | 'lost' | 'unknown';
export type DisconnectReason =
  | 'clientInitiated'
  | 'duplicateIdentity'
  | 'serverShutdown'
  | 'participantRemoved'
  | 'roomDeleted'
  | 'stateMismatch'
  | 'joinFailure'
  | 'migration'
  | 'signalClose'
  | 'roomClosed'
  | 'userUnavailable'
  | 'userRejected'
  | 'sipTrunkFailure'
  | 'connectionTimeout'
  | 'mediaFailure'
  | 'agentError'
  | 'unknownReason'
  | 'unknown';

const kinds: readonly TrackKind[] = ['unknown', 'audio', 'video'];
export const sources: readonly TrackSource[] = [
  'unknown',
  'camera',
  'microphone',
  'screenshare',
  'screenshareAudio',
];
const qualities: readonly ConnectionQuality[] = ['poor', 'good', 'excellent', 'lost'];
const states: readonly ParticipantState[] = ['joining', 'joined', 'active', 'disconnected'];

export const trackKind = (value = 0): TrackKind => kinds[value] ?? 'unknown';
export const trackSource = (value = 0): TrackSource => sources[value] ?? 'unknown';
export const connectionQuality = (value = -1): ConnectionQuality => qualities[value] ?? 'unknown';
export const participantState = (value = -1): ParticipantState => states[value] ?? 'unknown';

/** Number of a source in the protocol. */
export const sourceNumber = (source: TrackSource): number => sources.indexOf(source);

export function participantKind(value = 0): ParticipantKind {
  return (protocol.ParticipantKind[value]?.toLowerCase() ?? 'unknown') as ParticipantKind;
}

/** `CLIENT_INITIATED` becomes `clientInitiated`. */
export function disconnectReason(value = 0): DisconnectReason {
  const words = protocol.DisconnectReason[value]?.toLowerCase().split('_');
  if (!words) return 'unknown';
  const [first = '', ...others] = words;
  return [first, ...others.map((word) => word[0]?.toUpperCase() + word.slice(1))].join(
    '',
  ) as DisconnectReason;
}
