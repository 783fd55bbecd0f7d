import { DisconnectReason } from '@livekit/protocol';
import type { RoomOptions as FfiRoomOptions } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import { OffhookError } from '../../errors/index.js';
import {
  type ConnectionState,
  type ConnectOptions,
  type EncryptionOptions,
  Room,
  type SimulatedScenario,
} from '../../room/index.js';
import { saveTimeline } from '../../timeline/index.js';
import type { Context } from '../context.js';
import type { Handler } from '../handler.js';
import { FfiRoom } from '../objects/ffi-room.js';
import { IceTransportType, SimulateScenarioKind } from '../protocol.js';
import { fromFfiEncryption } from './encryption.js';

export const connect: Handler<'connect'> = ({ url = '', token = '', options, requestAsyncId }, context) =>
  context.call('connect', requestAsyncId, async (asyncId) => {
    const { library, libraryConnect } = context;
    const name = libraryConnect?.name;
    const room = new Room({ filters: context.filters, ...(name === undefined ? {} : { name }) });
    const { OFFHOOK_TIMELINE } = process.env;
    if (OFFHOOK_TIMELINE) saveTimeline(room.timeline, OFFHOOK_TIMELINE);
    const ffiRoom = new FfiRoom(context, room);
    ffiRoom.onOver = traceRoom(room, asyncId, context);
    if (library) reportConnectionState(ffiRoom, (state) => library.connectionState(asyncId, state));
    const startedMs = performance.now();
    const abandoned = new AbortController();
    context.connects.set(asyncId, abandoned);
    try {
      const { name: _, ...beyond } = libraryConnect ?? { name };
      const connectOptions = { ...fromFfiOptions(options), ...beyond };
      ffiRoom.keepSession({ url, token, isSingle: connectOptions.singlePeerConnection });
      await room.connect(url, token, { ...connectOptions, signal: abandoned.signal });
    } catch (error) {
      ffiRoom.notJoined();
      throw withElapsed(error, performance.now() - startedMs);
    } finally {
      context.connects.delete(asyncId);
    }
    const span = room.timeline.begin('callback');
    const value = ffiRoom.joined();
    span.end('ok');
    return { message: { case: 'result' as const, value } };
  });

/** Lets a program that watches see the room's steps. Returns what is to be called when the room is over. */
function traceRoom({ timeline }: Room, connect: bigint, { tracer }: Context): () => void {
  if (!tracer) return () => {};
  const stop = timeline.onSpanEnd((step) => tracer.step(connect, timeline.startedAtMs, step));
  return () => {
    stop();
    tracer.over(connect);
  };
}

/** The protocol does not tell a session that is resumed from a new one. */
function reportConnectionState(ffiRoom: FfiRoom, report: (state: ConnectionState) => void): void {
  let last: ConnectionState = 'connecting';
  ffiRoom.listen(() => {
    const { connectionState } = ffiRoom.room;
    if (connectionState === last) return;
    last = connectionState;
    report(connectionState);
  });
}

/** The error of a connect says how long it took, even where the step that failed has no clock of its own. */
function withElapsed(error: unknown, elapsedMs: number): unknown {
  if (!(error instanceof OffhookError) || error.elapsedMs !== undefined) return error;
  const { code, message, stage, host, advice } = error;
  return new OffhookError(code, message, { stage, host, elapsedMs, advice, cause: error });
}

/** `connect_timeout_ms` bounds one attempt to reach the server, as it does in the native engine. */
function fromFfiOptions(
  options: FfiRoomOptions | undefined,
): ConnectOptions & { singlePeerConnection: boolean } {
  const { rtcConfig, connectTimeoutMs } = options ?? {};
  const encryption = encryptionOf(options);
  const iceServers = (rtcConfig?.iceServers ?? []).map(({ urls, username, password }) => ({
    urls: [...urls],
    username,
    credential: password,
  }));
  return {
    autoSubscribe: options?.autoSubscribe ?? true,
    adaptiveStream: options?.adaptiveStream ?? false,
    dynacast: options?.dynacast ?? false,
    singlePeerConnection: options?.singlePeerConnection ?? true,
    ...(options?.joinRetries !== undefined && { joinRetries: options.joinRetries }),
    ...(encryption && { encryption }),
    ...(options?.dataStream?.maxPayloadByteLength !== undefined && {
      maxStreamBytes: Number(options.dataStream.maxPayloadByteLength),
    }),
    ...(iceServers.length > 0 && { iceServers }),
    ...(rtcConfig?.iceTransportType === IceTransportType.TRANSPORT_RELAY && { iceTransportPolicy: 'relay' }),
    ...(connectTimeoutMs && { deadlines: { candidateUrl: Number(connectTimeoutMs) } }),
    ...(process.env.OFFHOOK_WAIT_FOR === 'media' && { waitFor: 'media' }),
  };
}

/** `encryption` is of media and data; `e2ee`, which it replaced, of media alone. */
function encryptionOf(options: FfiRoomOptions | undefined): EncryptionOptions | undefined {
  if (options?.encryption) return fromFfiEncryption(options.encryption, true);
  return options?.e2ee && fromFfiEncryption(options.e2ee, false);
}

export const disconnect: Handler<'disconnect'> = ({ roomHandle, requestAsyncId, reason }, context) => {
  const room = context.handles.get(roomHandle, FfiRoom);
  return context.call('disconnect', requestAsyncId, async () => {
    await room.disconnect((reason as DisconnectReason | undefined) ?? DisconnectReason.CLIENT_INITIATED);
    return {};
  });
};

export const readyForRoomEvent: Handler<'readyForRoomEvent'> = ({ roomHandle }, { handles }) => {
  handles.get(roomHandle, FfiRoom).ready();
  return {};
};

const scenarios: Partial<Record<SimulateScenarioKind, SimulatedScenario>> = {
  [SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT]: 'signalReconnect',
  [SimulateScenarioKind.SIMULATE_SPEAKER]: 'speaker',
  [SimulateScenarioKind.SIMULATE_NODE_FAILURE]: 'nodeFailure',
  [SimulateScenarioKind.SIMULATE_SERVER_LEAVE]: 'serverLeave',
  [SimulateScenarioKind.SIMULATE_MIGRATION]: 'migration',
  [SimulateScenarioKind.SIMULATE_FORCE_TCP]: 'forceTcp',
  [SimulateScenarioKind.SIMULATE_FORCE_TLS]: 'forceTls',
  [SimulateScenarioKind.SIMULATE_FULL_RECONNECT]: 'fullReconnect',
  [SimulateScenarioKind.SIMULATE_DISCONNECT_SIGNAL_ON_RESUME]: 'disconnectSignalOnResume',
};

export const simulateScenario: Handler<'simulateScenario'> = (request, context) => {
  const { room } = context.handles.get(request.roomHandle, FfiRoom);
  return context.call('simulateScenario', request.requestAsyncId, async () => {
    const kind = request.scenario ?? SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT;
    const scenario = scenarios[kind];
    if (!scenario) {
      const name = SimulateScenarioKind[kind];
      throw new OffhookError('OFFHOOK_NOT_SUPPORTED', `the scenario ${name} is not supported yet`);
    }
    room.simulate(scenario);
    return {};
  });
};
