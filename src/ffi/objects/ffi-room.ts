import type { ConnectCallback_Result } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import { RpcError, type RpcInvocation } from '../../data/index.js';
import { describeError, OffhookError } from '../../errors/index.js';
import { limits, timerMs } from '../../limits.js';
import { createLogger, type Logger } from '../../logging/index.js';
import type {
  LocalTrackPublication,
  RemoteParticipant,
  RemoteTrackPublication,
  Room,
  RoomEvent,
  SessionToLeave,
} from '../../room/index.js';
import type { Context } from '../context.js';
import { toFfiParticipant } from '../conversion/participant.js';
import { toFfiRoom } from '../conversion/room.js';
import { toFfiPublication } from '../conversion/track.js';
import type { InitOf } from '../messages.js';
import { ConnectionState, DisconnectReason } from '../protocol.js';
import { FfiParticipant } from './ffi-participant.js';
import { type RoomMessage, translateRoomEvent } from './room-events.js';

const log = createLogger('ffi/room');

/** A program that has not announced by then that it is ready still gets its events. */
const readyTimeoutMs = 15_000;

interface RpcWaiter {
  resolve(payload: string): void;
  reject(error: Error): void;
}

/** A room that the program has a handle of: its events in the order that programs rely on, and what they refer to. */
export class FfiRoom {
  readonly room: Room;
  /** Called once, when the room was left, was lost, or could not be joined. */
  onOver: () => void = () => {};
  #context: Context;
  #log: Logger;
  #handle: number;
  #localParticipantHandle = 0;
  /** Not ready for events yet, or an event must wait for the callback of a publish. */
  #held: RoomEvent[] = [];
  #ready = false;
  #readyTimer: NodeJS.Timeout | undefined;
  #publishing = 0;
  #publicationHandles = new WeakMap<LocalTrackPublication, number>();
  #rpcWaiters = new Map<number, RpcWaiter>();
  #eventListeners = new Set<(event: RoomEvent) => void>();
  #open: number | undefined;
  #ended = false;
  #leavesBehind = false;
  #droppedPackets = 0;
  #session: Omit<SessionToLeave, 'participantSid'> | undefined;

  constructor(context: Context, room: Room) {
    this.#context = context;
    this.room = room;
    this.#log = log.about(room.timeline.subject);
    this.#handle = context.handles.add(this, () => void this.disconnect());
    room.onEvent = (event) => this.#onEvent(event);
  }

  /** Says how this room is left should the engine be lost: from when joining begins, and whenever the session changes. */
  keepSession(session: Omit<SessionToLeave, 'participantSid'>): void {
    this.#session = session;
    const { room } = this;
    const joined =
      room.connectionState === 'connected'
        ? { participantSid: room.localParticipant.sid, isSingle: room.isSingle }
        : { participantSid: '' };
    this.#context.outbox.keepSession({ id: this.#handle, session: { ...session, ...joined } });
  }

  get handle(): bigint {
    return BigInt(this.#handle);
  }

  /** Gives out the handles of a room that was joined, with the state that the program begins with. */
  joined(): InitOf<ConnectCallback_Result> {
    const { handles, outbox } = this.#context;
    const { room } = this;
    this.#localParticipantHandle = handles.add(new FfiParticipant(this, room.localParticipant));
    this.#open = outbox.open({ roomHandle: this.handle });
    if (this.#session) this.keepSession(this.#session);
    // Who came before now is in this answer, and must not come again as an event.
    this.#held = this.#held.filter(
      ({ type }) => !type.startsWith('participant') && type !== 'trackPublished',
    );
    this.#readyTimer = setTimeout(() => {
      this.#log.warn(`no ReadyForRoomEvent within ${readyTimeoutMs} ms; events are delivered without it`);
      this.ready();
    }, readyTimeoutMs);
    return {
      room: { handle: { id: this.handle }, info: toFfiRoom(room.info) },
      localParticipant: {
        handle: { id: BigInt(this.#localParticipantHandle) },
        info: toFfiParticipant(room.localParticipant.info),
      },
      participants: [...room.remoteParticipants.values()].map((participant) => ({
        participant: this.ownParticipant(participant),
        publications: [...participant.publications.values()].map((publication) =>
          this.ownRemotePublication(publication),
        ),
      })),
    };
  }

  /** The room could not be joined: there is nothing for the program to hold. */
  notJoined(): void {
    this.#context.handles.take(this.handle, FfiRoom);
    this.#context.outbox.keepSession({ id: this.#handle });
    this.onOver();
  }

  /** The program takes room events from now on. */
  ready(): void {
    if (this.#ready) return;
    clearTimeout(this.#readyTimer);
    this.#ready = true;
    const { sid } = this.room.info;
    if (sid) this.#send({ case: 'roomSidChanged', value: { sid } });
    this.#send({ case: 'connectionStateChanged', value: { state: ConnectionState.CONN_CONNECTED } });
    this.#flush();
  }

  ownParticipant(participant: RemoteParticipant) {
    const id = BigInt(this.#context.handles.add(new FfiParticipant(this, participant)));
    return { handle: { id }, info: toFfiParticipant(participant.info) };
  }

  ownRemotePublication(publication: RemoteTrackPublication) {
    const id = BigInt(this.#context.handles.add(publication));
    return { handle: { id }, info: toFfiPublication(publication.info, true) };
  }

  /** The handle of a publication is the same for as long as it lives, through reconnects too. */
  localPublicationHandle(publication: LocalTrackPublication): bigint {
    let handle = this.#publicationHandles.get(publication);
    if (handle === undefined) {
      handle = this.#context.handles.add(publication);
      this.#publicationHandles.set(publication, handle);
    }
    return BigInt(handle);
  }

  /** Between this and `publishEnded`, events wait: `localTrackPublished` comes after the callback. */
  publishBegins(): void {
    this.#publishing++;
  }

  publishEnded(): void {
    this.#publishing--;
    this.#flush();
  }

  /** Calls `listener` with every event as it happens in the room. Returns what stops it. */
  listen(listener: (event: RoomEvent) => void): () => void {
    this.#eventListeners.add(listener);
    return () => this.#eventListeners.delete(listener);
  }

  /** Lets the program answer a remote procedure call. */
  invokeRpc(method: string, invocation: RpcInvocation): Promise<string> {
    const untakenBytes = this.#context.untakenBytes();
    if (untakenBytes > limits.untakenEvents.value) this.#leaveBlocked(untakenBytes);
    const invocationId = this.#context.handles.nextId();
    const responseTimeoutMs = Math.round(invocation.responseTimeoutMs);
    return new Promise<string>((resolve, reject) => {
      // The caller has given up by then: an answer would have nobody to go to.
      const expire = () => {
        this.#rpcWaiters.delete(invocationId);
        reject(RpcError.builtIn('responseTimeout'));
      };
      const timer = setTimeout(expire, timerMs(responseTimeoutMs));
      this.#rpcWaiters.set(invocationId, {
        resolve: (payload) => {
          clearTimeout(timer);
          resolve(payload);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#context.outbox.emit({
        case: 'rpcMethodInvocation',
        value: {
          localParticipantHandle: BigInt(this.#localParticipantHandle),
          invocationId: BigInt(invocationId),
          method,
          requestId: invocation.requestId,
          callerIdentity: invocation.callerIdentity,
          payload: invocation.payload,
          responseTimeoutMs,
        },
      });
    });
  }

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` */
  takeRpcWaiter(invocationId: bigint | undefined): RpcWaiter {
    const waiter = this.#rpcWaiters.get(Number(invocationId));
    if (!waiter) {
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        `no RPC with the invocation id ${invocationId} awaits an answer`,
      );
    }
    this.#rpcWaiters.delete(Number(invocationId));
    return waiter;
  }

  /** Leaves the room; the program is told of the end of its events. */
  async disconnect(reason?: number): Promise<void> {
    try {
      await this.room.disconnect(reason);
    } finally {
      this.#end();
    }
  }

  #onEvent(event: RoomEvent): void {
    for (const listener of this.#eventListeners) listener(event);
    if (this.#session && event.type === 'tokenRefreshed')
      this.keepSession({ ...this.#session, token: event.token });
    else if (this.#session && event.type === 'reconnected') this.keepSession(this.#session);
    if (!this.#isTooMuch(event)) this.#held.push(event);
    this.#flush();
    if (event.type === 'disconnected') this.#end();
  }

  /**
   * Whether a program that is blocked has so much to take already that the event is dropped; by more still the room is
   * left. Runs for every event of the room.
   */
  #isTooMuch(event: RoomEvent): boolean {
    const untakenBytes = this.#context.untakenBytes();
    if (untakenBytes <= limits.untakenBytes.value) return false;
    if (untakenBytes > limits.untakenEvents.value) this.#leaveBlocked(untakenBytes);
    if (event.type !== 'dataPacketReceived' || event.kind !== 'lossy') return false;
    if (this.#droppedPackets++ === 0) void this.#context.untilTaken()?.then(() => this.#logDropped());
    return true;
  }

  #logDropped(): void {
    this.#log.warn(`the program was blocked; ${this.#droppedPackets} lossy data packets for it were dropped`);
    this.#droppedPackets = 0;
  }

  /** Before this process runs out of memory. */
  #leaveBlocked(untakenBytes: number): void {
    if (this.#leavesBehind || this.#ended) return;
    this.#leavesBehind = true;
    this.#log.error(
      `the room was left because the program is blocked: ${untakenBytes} bytes of events wait for it, and ${limits.untakenEvents.value} may`,
    );
    // Not from within an event of the room.
    queueMicrotask(() => void this.disconnect(DisconnectReason.AGENT_ERROR));
  }

  #flush(): void {
    while (this.#ready && this.#held.length > 0) {
      if (this.#publishing > 0 && this.#held.some(({ type }) => type === 'localTrackPublished')) return;
      const event = this.#held.shift()!;
      try {
        const translated = translateRoomEvent(event, this, this.#context);
        if (translated) this.#context.outbox.emit(this.#roomEvent(translated.message), translated.buffers);
      } catch (error) {
        // The events after it must not be lost with it.
        this.#log.error(`the event ${event.type} was lost: ${describeError(error)}`);
      }
    }
  }

  #end(): void {
    if (this.#ended || this.#open === undefined) return;
    this.#ended = true;
    clearTimeout(this.#readyTimer);
    this.#ready = true;
    this.#publishing = 0;
    this.#flush();
    this.#context.outbox.close(this.#open);
    this.#context.outbox.keepSession({ id: this.#handle });
    this.#send({ case: 'eos', value: {} });
    const gone = new OffhookError('OFFHOOK_CLOSED', `the room ${this.room.info.name} is disconnected`);
    for (const waiter of this.#rpcWaiters.values()) waiter.reject(gone);
    this.#rpcWaiters.clear();
    this.onOver();
  }

  #roomEvent(message: RoomMessage) {
    return { case: 'roomEvent' as const, value: { roomHandle: this.handle, message } };
  }

  #send(message: RoomMessage): void {
    this.#context.outbox.emit(this.#roomEvent(message));
  }
}
