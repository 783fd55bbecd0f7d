import type {
  JoinResponse,
  ParticipantInfo as ParticipantMessage,
  SignalRequest,
  SignalResponse,
} from '@livekit/protocol';
import type { PacketChannel } from '../../data/index.js';
import type { OffhookError } from '../../errors/index.js';
import type { LogSubject } from '../../logging/index.js';
import type { Requests } from '../connection/requests.js';
import type { Session } from '../connection/session.js';
import type { DataEncryption } from '../data-encryption.js';
import type { RoomEncryption } from '../encryption.js';
import type { DataTrackEvent } from '../events.js';
import { LocalDataTracks } from './local-data-tracks.js';
import { RemoteDataTracks } from './remote-data-tracks.js';
import { Schemas } from './schemas.js';

/** What data tracks need of their room. */
export interface DataTracksHost {
  readonly requests: Requests;
  readonly encryption: RoomEncryption | undefined;
  readonly dataEncryption: DataEncryption | undefined;
  readonly random: () => number;
  readonly subject: LogSubject;
  /** Rejects when the room is closed, or when `signal` aborts. */
  whenConnected(signal: AbortSignal): Promise<Session>;
  /** Sends to the server, or drops the message while there is no session. */
  send(message: SignalRequest['message']): void;
  emit(event: DataTrackEvent): void;
}

/** Data tracks of a room, of both directions, and the schemas of their frames. */
export class DataTracks {
  readonly local: LocalDataTracks;
  readonly remote: RemoteDataTracks;
  readonly schemas: Schemas;

  constructor(host: DataTracksHost) {
    this.local = new LocalDataTracks(host);
    this.remote = new RemoteDataTracks(host);
    this.schemas = new Schemas(host);
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
