import {
  type AddTrackRequest,
  type RequestResponse,
  RequestResponse_Reason,
  type SignalRequest,
  type TrackInfo,
  type TrackPublishedResponse,
} from '@livekit/protocol';
import { untilAborted, withDeadline } from '../../deadlines/index.js';
import { OffhookError, outsideText } from '../../errors/index.js';
import { createDeferred, type Deferred } from '../deferred.js';
import type { Connection } from './connection.js';

/** Requests to the server that await its answer: tracks by their cid, others by their number. */
export class Requests {
  /** For an answer, and for a session to ask on. */
  readonly timeoutMs: number;
  #connection: Pick<Connection, 'whenConnected'>;
  #lastId = 0;
  #byId = new Map<number, Deferred<unknown>>();
  #tracks = new Map<string, { request: AddTrackRequest; deferred: Deferred<TrackInfo> }>();

  constructor(connection: Pick<Connection, 'whenConnected'>, timeoutMs: number) {
    this.#connection = connection;
    this.timeoutMs = timeoutMs;
  }

  /** A number for a request whose answer nobody awaits. */
  nextId(): number {
    this.#lastId++;
    return this.#lastId;
  }

  /**
   * Sends a request under a number of its own, as soon as there is a session. Resolves with the answer, which is undefined
   * where the server only agrees.
   *
   * @param what for the error: `no answer to …`
   * @throws OffhookError `OFFHOOK_SERVER_REFUSED`, `OFFHOOK_DEADLINE`, `OFFHOOK_CLOSED`
   */
  ask(
    { what, advice }: { what: string; advice?: string },
    message: (requestId: number) => SignalRequest['message'],
  ): Promise<unknown> {
    const options = { stage: 'request', timeoutMs: this.timeoutMs, what, ...(advice && { advice }) } as const;
    return withDeadline(options, async (signal) => {
      const session = await this.#connection.whenConnected(signal);
      const requestId = this.nextId();
      const deferred = createDeferred<unknown>();
      this.#byId.set(requestId, deferred);
      try {
        session.send(message(requestId));
        return await untilAborted(deferred.promise, signal);
      } finally {
        this.#byId.delete(requestId);
      }
    });
  }

  /** How many requests await their answer. */
  get waiting(): number {
    return this.#byId.size + this.#tracks.size;
  }

  /** The server's answer to an AddTrackRequest. */
  trackAnswer(request: AddTrackRequest): Promise<TrackInfo> {
    const deferred = createDeferred<TrackInfo>();
    this.#tracks.set(request.cid, { request, deferred });
    return deferred.promise;
  }

  /** What to ask again after a resume: the answers may have been lost. */
  unansweredTracks(): AddTrackRequest[] {
    return [...this.#tracks.values()].map(({ request }) => request);
  }

  /** Nobody awaits the answer any more. */
  forgetTrack(cid: string): void {
    this.#tracks.delete(cid);
  }

  /** The server's answer to a request, where it has a message of its own. */
  resolve(requestId: number, answer: unknown): void {
    this.#byId.get(requestId)?.resolve(answer);
  }

  handleTrackPublished({ cid, track }: TrackPublishedResponse): void {
    if (track) this.#tracks.get(cid)?.deferred.resolve(track);
  }

  handleResponse({ requestId, reason, message, request }: RequestResponse): void {
    const refused = refusal(reason, message);
    if (request.case === 'addTrack' && refused) this.#tracks.get(request.value.cid)?.deferred.reject(refused);
    const deferred = this.#byId.get(requestId);
    if (refused) deferred?.reject(refused);
    else if (reason === RequestResponse_Reason.OK) deferred?.resolve(undefined);
  }

  /** The connection is over. */
  close(error: OffhookError): void {
    for (const deferred of this.#byId.values()) deferred.reject(error);
    for (const { deferred } of this.#tracks.values()) deferred.reject(error);
    this.#byId.clear();
    this.#tracks.clear();
  }
}

function refusal(reason: RequestResponse_Reason, message: string): OffhookError | undefined {
  if (reason === RequestResponse_Reason.OK || reason === RequestResponse_Reason.QUEUED) return undefined;
  const name = RequestResponse_Reason[reason] ?? String(reason);
  const details = outsideText(message);
  return new OffhookError(
    'OFFHOOK_SERVER_REFUSED',
    `the server refused the request: ${name}${details ? `, ${details}` : ''}`,
    {
      stage: 'request',
    },
  );
}
