import {
  DataBlob,
  DataBlobKey,
  type DataTrackSchemaId,
  GetDataBlobRequest,
  type GetDataBlobResponse,
  type SignalRequest,
  StoreDataBlobRequest,
  type StoreDataBlobResponse,
} from '@livekit/protocol';
import { OffhookError } from '../../errors/index.js';
import type { RoomContext } from '../room-context.js';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Definitions of schemas, which the server keeps for as long as the session of who defined them. */
export class Schemas {
  readonly #context: RoomContext;
  /** What is defined again in a new session, by key. */
  readonly #defined = new Map<string, DataBlob>();

  constructor(context: RoomContext) {
    this.#context = context;
  }

  /**
   * Lets others read the definition of a schema.
   *
   * @throws OffhookError `OFFHOOK_SERVER_REFUSED`, `OFFHOOK_DEADLINE`, `OFFHOOK_CLOSED`
   */
  async define(id: DataTrackSchemaId, definition: string): Promise<void> {
    const contents = new TextEncoder().encode(definition);
    const blob = new DataBlob({ key: keyOf(id), contents });
    await this.#ask(`defining schema ${id.name}`, (requestId) => ({
      case: 'storeDataBlobRequest',
      value: new StoreDataBlobRequest({ requestId, blob }),
    }));
    this.#defined.set(id.toJsonString(), blob);
  }

  /**
   * The definition of a schema that a participant has defined.
   *
   * @throws OffhookError as `define`; `OFFHOOK_PROTOCOL` for one that is no text
   */
  async get(id: DataTrackSchemaId, participantIdentity: string): Promise<string> {
    const answer = await this.#ask(`reading schema ${id.name} of ${participantIdentity}`, (requestId) => ({
      case: 'getDataBlobRequest',
      value: new GetDataBlobRequest({ requestId, participantIdentity, key: keyOf(id) }),
    }));
    try {
      return utf8.decode((answer as GetDataBlobResponse | undefined)?.blob?.contents);
    } catch (cause) {
      throw new OffhookError('OFFHOOK_PROTOCOL', `schema ${id.name} of ${participantIdentity} is not text`, {
        cause,
      });
    }
  }

  handle(response: StoreDataBlobResponse | GetDataBlobResponse): void {
    this.#context.requests.resolve(response.requestId, response);
  }

  /** A new session knows none of the definitions. */
  rejoined(): void {
    for (const blob of this.#defined.values()) {
      const requestId = this.#context.requests.nextId();
      const value = new StoreDataBlobRequest({ requestId, blob });
      this.#context.connection.send({ case: 'storeDataBlobRequest', value });
    }
  }

  #ask(what: string, message: (requestId: number) => SignalRequest['message']): Promise<unknown> {
    const advice = 'A server that does not know schemas never answers.';
    return this.#context.requests.ask({ what, advice }, message);
  }
}

function keyOf(id: DataTrackSchemaId): DataBlobKey {
  return new DataBlobKey({ key: { case: 'schemaId', value: id } });
}
