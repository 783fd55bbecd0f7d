import { ServerInfo, ServerInfo_Edition } from '@livekit/protocol';
import type { WebSocket } from 'ws';
import {
  checkFunction,
  checkInteger,
  checkName,
  checkNumberFrom,
  checkObject,
  checkOptions,
  checkTextRecord,
} from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import { generateCertificate, UdpPort } from '../transport/index.js';
import { type ApiKeys, verifyAccess } from './access-token.js';
import { AgentWorkers } from './agents/agent-workers.js';
import { Dispatcher } from './agents/dispatcher.js';
import { agentDispatchService } from './api/agent-dispatch-service.js';
import { roomService } from './api/room-service.js';
import { type TwirpService, twirpHandler } from './api/twirp.js';
import { type ClientOptions, readClientOptions } from './client-options.js';
import { HttpListener } from './http-listener.js';
import { type HttpReply, type HttpRequest, HttpRouter, tokenOf } from './http-router.js';
import { newSid } from './ids.js';
import { readJoinRequest } from './join-request.js';
import { Rooms } from './rooms.js';
import { mediaBindAddress } from './sfu/ice-addresses.js';
import { SignalService } from './signal-service.js';
import { Turns } from './turns.js';

const log = createLogger('server');

export interface ServerOptions {
  /** TCP port of HTTP and WebSocket; 0 takes a free one. Default 7880. */
  port?: number;
  /** Address to listen on; media goes over loopback only when this is loopback. Default 127.0.0.1. */
  host?: string;
  /** API keys and their secrets. Default `{ devkey: 'secret' }`. */
  keys?: ApiKeys;
  /** UDP port of all media; 0 takes a free one. Default 7882, or a free one when `port` is 0. */
  rtcPort?: number;
  /** Seconds a room stays that nobody has joined. Default 300. */
  emptyTimeoutS?: number;
  /** Seconds a room stays after its last participant left. Default 20. */
  departureTimeoutS?: number;
  /** How long a participant that lost its signalling connection may come back. Default 15 000. */
  resumeWindowMs?: number;
  /** Further services of the server API, by name: `livekit.SIP`. */
  services?: Readonly<Record<string, TwirpService>>;
}

export interface RoomServer {
  /** `ws://host:port` */
  url: string;
  /** UDP port of all media. */
  rtcPort: number;
  /** Sends everybody away and frees every port; resolves when that is done. */
  close(): Promise<void>;
}

const optionNames: Record<keyof ServerOptions, true> = {
  port: true,
  host: true,
  keys: true,
  rtcPort: true,
  emptyTimeoutS: true,
  departureTimeoutS: true,
  resumeWindowMs: true,
  services: true,
};

/** @throws OffhookError `OFFHOOK_INVALID_REQUEST` */
function checkServerOptions(options: ServerOptions): void {
  checkOptions('startServer', options, Object.keys(optionNames));
  const { port, host, keys, rtcPort, emptyTimeoutS, departureTimeoutS, resumeWindowMs, services } = options;
  if (port !== undefined) checkInteger('port', port, 0, 65_535);
  if (rtcPort !== undefined) checkInteger('rtcPort', rtcPort, 0, 65_535);
  if (host !== undefined) checkName('host', host);
  if (keys !== undefined) checkTextRecord('keys', keys);
  if (emptyTimeoutS !== undefined) checkNumberFrom('emptyTimeoutS', emptyTimeoutS, 0);
  if (departureTimeoutS !== undefined) checkNumberFrom('departureTimeoutS', departureTimeoutS, 0);
  if (resumeWindowMs !== undefined) checkNumberFrom('resumeWindowMs', resumeWindowMs, 0);
  if (services === undefined) return;
  checkObject('services', services);
  for (const [name, methods] of Object.entries(services)) {
    checkObject(`services.${name}`, methods);
    for (const [method, called] of Object.entries(methods)) {
      checkObject(`services.${name}.${method}`, called);
      checkFunction(`services.${name}.${method}.handle`, called.handle);
    }
  }
}

/**
 * Starts a room server in this process.
 *
 * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a wrong option; `OFFHOOK_UNREACHABLE` when a port is taken or the
 * address is not of this machine.
 */
export async function startServer(options: ServerOptions = {}): Promise<RoomServer> {
  checkServerOptions(options);
  const { port = 7880, host = '127.0.0.1', keys = { devkey: 'secret' } } = options;
  const { rtcPort = port === 0 ? 0 : 7882 } = options;
  const udp = new UdpPort(rtcPort, mediaBindAddress(host));
  const endpoint = { udp, certificate: generateCertificate('offhook') };
  const serverInfo = new ServerInfo({
    edition: ServerInfo_Edition.Standard,
    version: '1.11.0',
    protocol: 17,
    agentProtocol: 1,
    nodeId: newSid('ND'),
    debugInfo: 'offhook',
  });
  const workers = new AgentWorkers({ keys, serverInfo });
  const dispatcher = new Dispatcher(workers);
  const rooms = new Rooms(
    {
      emptyTimeoutS: options.emptyTimeoutS ?? 300,
      departureTimeoutS: options.departureTimeoutS ?? 20,
      maxParticipants: 0,
    },
    dispatcher,
  );
  const turns = new Turns();
  const signal = new SignalService({
    rooms,
    keys,
    endpoint,
    serverInfo,
    turns,
    resumeWindowMs: options.resumeWindowMs ?? 15_000,
  });

  const services = {
    'livekit.RoomService': roomService(rooms),
    'livekit.AgentDispatchService': agentDispatchService(rooms, dispatcher),
    ...options.services,
  };
  const validate = async (request: HttpRequest, readClient: () => ClientOptions): Promise<HttpReply> => {
    const access = await verifyAccess(tokenOf(request.headers, request.query), keys);
    signal.check(access, readClient());
    return { contentType: 'text/plain', body: 'success' };
  };
  const router = new HttpRouter()
    .page('/', () => ({ contentType: 'text/plain', body: 'OK' }))
    .page('/rtc/v1/validate', (request) =>
      validate(request, () => readJoinRequest(request.query, request.address)),
    )
    .page('/rtc/validate', (request) =>
      validate(request, () => readClientOptions(request.query, request.address, { strict: true })),
    )
    .page('/settings/regions', () => ({ contentType: 'application/json', body: '{"regions":[]}' }))
    .post(
      '/twirp/',
      twirpHandler(services, {
        verify: (token) => verifyAccess(token, keys),
        paceOf: (room) => rooms.byName.get(room)?.callPace,
      }),
    );
  const join = async (token: string | undefined, readClient: () => ClientOptions) => {
    const access = await verifyAccess(token, keys);
    const client = readClient();
    return {
      admit: () => signal.check(access, client),
      serve: (socket: WebSocket) => signal.serve(socket, access, client),
    };
  };
  const listener = new HttpListener(
    router,
    {
      '/rtc': ({ token, query, address }) => join(token, () => readClientOptions(query, address)),
      '/rtc/v1': ({ token, query, address }) => join(token, () => readJoinRequest(query, address)),
      '/agent': async ({ token }) => {
        const access = await verifyAccess(token, keys);
        return { admit: () => workers.check(access), serve: (socket) => workers.serve(socket, access) };
      },
    },
    undefined,
    turns,
  );
  const boundPort = await listener.listen(port, host).catch(async (error: unknown) => {
    await udp.close();
    throw error;
  });
  log.info(`listening on ${host}:${boundPort}, media on UDP port ${udp.port}`);
  return {
    url: `ws://${host.includes(':') ? `[${host}]` : host}:${boundPort}`,
    rtcPort: udp.port,
    close: async () => {
      rooms.closeAll();
      workers.closeAll();
      await listener.close();
      await udp.close();
    },
  };
}
