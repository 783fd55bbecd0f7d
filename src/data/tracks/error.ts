import { type ErrorCode, OffhookError } from '../../errors/index.js';

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
export class DataTrackError extends OffhookError {
  readonly failure: DataTrackFailure;

  constructor(failure: DataTrackFailure, message: string = failures[failure][1]) {
    super(failures[failure][0], message);
    this.failure = failure;
  }
}

const failures: Record<DataTrackFailure, [code: ErrorCode, message: string]> = {
  notAllowed: ['OFFHOOK_SERVER_REFUSED', 'the token does not permit to publish data tracks (canPublishData)'],
  duplicateName: ['OFFHOOK_INVALID_REQUEST', 'a data track of this name is published already'],
  invalidName: ['OFFHOOK_INVALID_REQUEST', 'the name of a data track has 1 to 256 characters'],
  invalidSchema: ['OFFHOOK_INVALID_REQUEST', 'the schema of the data track is not valid'],
  limitReached: ['OFFHOOK_SERVER_REFUSED', 'no further data tracks can be published'],
  timeout: ['OFFHOOK_DEADLINE', 'the server did not answer: it may be of a version without data tracks'],
  disconnected: ['OFFHOOK_CLOSED', 'the room is not connected'],
  unpublished: ['OFFHOOK_CLOSED', 'the data track is not published any more'],
  queueFull: ['OFFHOOK_INVALID_REQUEST', 'frames come faster than they can be sent'],
  internal: ['OFFHOOK_PROTOCOL', 'the data track failed'],
};
