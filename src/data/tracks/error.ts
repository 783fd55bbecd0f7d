/** Why something of a data track cannot be done; each has a code in LiveKit's protocol. */
export type DataTrackFailure =
  | 'notAllowed'
  | 'duplicateName'
  | 'invalidName'
  | 'invalidSchema'
  | 'limitReached'
  | 'timeout'
  | 'disconnected'
  | 'unpublished'
  | 'queueFull'
  | 'internal';

/** What publishing, pushing to or subscribing to a data track fails with. */
export class DataTrackError extends Error {
  override readonly name = 'DataTrackError';
  readonly failure: DataTrackFailure;

  constructor(failure: DataTrackFailure, message: string = messages[failure]) {
    super(message);
    this.failure = failure;
  }
}

const messages: Record<DataTrackFailure, string> = {
  notAllowed: 'the token does not permit to publish data tracks (canPublishData)',
  duplicateName: 'a data track of this name is published already',
  invalidName: 'the name of a data track has 1 to 256 characters',
  invalidSchema: 'the schema of the data track is not valid',
  limitReached: 'no further data tracks can be published',
  timeout: 'the server did not answer: it may be of a version without data tracks',
  disconnected: 'the room is not connected',
  unpublished: 'the data track is not published any more',
  queueFull: 'frames come faster than they can be sent',
  internal: 'the data track failed',
};
