import type { JoinResponse, ParticipantInfo as ParticipantMessage, SignalResponse } from '@livekit/protocol';
import type { PacketChannel } from '../../data/index.js';
import type { OffhookError } from '../../errors/index.js';
import type { RoomContext } from '../room-context.js';
import { LocalDataTracks } from './local-data-tracks.js';
import { RemoteDataTracks } from './remote-data-tracks.js';
import { Schemas } from './schemas.js';

/** Data tracks of a room, of both directions, and the schemas of their frames. */
export class DataTracks {
  readonly local: LocalDataTracks;
  readonly remote: RemoteDataTracks;
  readonly schemas: Schemas;

  constructor(context: RoomContext) {
    this.local = new LocalDataTracks(context);
    this.remote = new RemoteDataTracks(context);
    this.schemas = new Schemas(context);
  }

  /** Returns whether the message was about data tracks. */
  handle(message: SignalResponse['message']): boolean {
    switch (message.case) {
      case 'publishDataTrackResponse':
        this.local.handlePublished(message.value.info);
        return true;
      case 'unpublishDataTrackResponse':
        if (message.value.info) this.local.handleUnpublished(message.value.info);
        return true;
      case 'dataTrackSubscriberHandles':
        this.remote.handleHandles(message.value);
        return true;
      case 'storeDataBlobResponse':
      case 'getDataBlobResponse':
        this.schemas.handle(message.value);
        return true;
      case 'requestResponse': {
        const { request } = message.value;
        if (request.case === 'publishDataTrack') this.local.handleRefused(request.value, message.value);
        else if (request.case === 'unpublishDataTrack') this.local.handleUnpublished(request.value);
        else return false;
        return true;
      }
      default:
        return false;
    }
  }

  /** @param isCurrent whether the update is of a session that has not been replaced */
  update(
    participants: readonly ParticipantMessage[],
    isCurrent: (participant: ParticipantMessage) => boolean,
  ): void {
    for (const participant of participants) if (isCurrent(participant)) this.remote.update(participant);
  }

  joined({ otherParticipants }: JoinResponse): void {
    this.update(otherParticipants, () => true);
  }

  /** A new session took the place of the one that was lost. */
  rejoined(join: JoinResponse): void {
    this.joined(join);
    this.local.rejoined();
    this.remote.rejoined();
    this.schemas.rejoined();
  }

  /** The session was taken up again. */
  resumed(): void {
    this.local.resumed();
    this.remote.resumed();
  }

  open(channel: PacketChannel): void {
    this.local.open(channel);
  }

  close(error: OffhookError): void {
    this.local.close(error);
    this.remote.close(error);
  }
}
