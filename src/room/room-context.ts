import type { LogSubject } from '../logging/index.js';
import type { Connection } from './connection/connection.js';
import type { Requests } from './connection/requests.js';
import type { DataEncryption } from './data/data-encryption.js';
import type { RoomEncryption } from './encryption.js';
import type { DataEvent, DataTrackEvent, EncryptionEvent } from './events.js';
import type { ConnectOptions } from './options.js';
import type { StateInput } from './state/reduce.js';
import type { RoomState } from './state/room-state.js';

/** What the parts of a room share, from one connect to its end. */
export interface RoomContext {
  readonly options: ConnectOptions;
  readonly connection: Connection;
  readonly requests: Requests;
  /** Undefined in a room that is not encrypted, as `dataEncryption` is. */
  readonly encryption: RoomEncryption | undefined;
  readonly dataEncryption: DataEncryption | undefined;
  /** For logs. */
  readonly subject: LogSubject;
  /** 0 to 1. */
  readonly random: () => number;
  /** Undefined before the room is joined. */
  state(): RoomState | undefined;
  /** Changes the state, and delivers the events of that. */
  dispatch(input: StateInput): void;
  emit(event: DataEvent | DataTrackEvent | EncryptionEvent): void;
}
