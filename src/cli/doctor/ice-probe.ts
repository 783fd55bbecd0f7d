import {
  DisconnectReason,
  LeaveRequest,
  LeaveRequest_Action,
  SessionDescription,
  SignalTarget,
  TrickleRequest,
} from '@livekit/protocol';
import { resolveDeadlines, withDeadline } from '../../deadlines/index.js';
import { describeError, OffhookError } from '../../errors/index.js';
import { type ProbeStep, SignalClient } from '../../signal/index.js';
import { Timeline } from '../../timeline/index.js';
import {
  candidateAddress,
  dataSection,
  type IceCandidate,
  type IceServer,
  PeerConnection,
} from '../../transport/index.js';

/** A path for media between this machine and the server. */
export type MediaPath = 'UDP' | 'TCP' | 'TURN';

export interface IceProbeOptions {
  url: string;
  token: string;
  signal: AbortSignal;
}

const advices: Record<MediaPath, string> = {
  UDP: 'Open UDP to the port of the server (rtc.udp_port or rtc.port_range), both ways.',
  TCP: 'Open TCP to the port of the server for media (rtc.tcp_port).',
  TURN: 'Check that the TURN server can be reached, and its credentials and domain in the configuration.',
};

function isOn(path: MediaPath, candidate: string): boolean {
  const protocol = candidateAddress(candidate)?.protocol;
  return protocol !== undefined && (path === 'TURN' || protocol === path.toLowerCase());
}

/** How long the server may take to send its candidates for this path, if it has any. */
const offeredWithinMs = 2_000;

/** How long the server may take to end the connection after a leave. */
const leaveMs = 1_000;

/** The server has no candidate for the path that is tested. */
class NotOffered extends Error {}

function isTurn({ urls }: IceServer): boolean {
  return urls.some((url) => /^turns?:/.test(url));
}

/**
 * Negotiates one data channel over `path` and resolves when the peer connection is up.
 *
 * @throws NotOffered when the server names no candidate for it
 */
async function negotiate(client: SignalClient, pc: PeerConnection, path: MediaPath): Promise<void> {
  let isOffered = false;
  let timer: NodeJS.Timeout | undefined;
  const connected = new Promise<void>((resolve, reject) => {
    timer = setTimeout(() => {
      if (!isOffered) reject(new NotOffered());
    }, offeredWithinMs);
    pc.onLocalCandidate = (candidate) => {
      const candidateInit = JSON.stringify(candidate);
      client.send({
        case: 'trickle',
        value: new TrickleRequest({ candidateInit, target: SignalTarget.PUBLISHER }),
      });
    };
    pc.onStateChange = (state) => {
      if (state === 'connected') resolve();
      if (state === 'failed')
        reject(new OffhookError('OFFHOOK_TRANSPORT', 'ICE found no path', { stage: 'ice' }));
    };
    client.onClose = reject;
    client.onMessage = (message) => {
      try {
        if (message.case === 'answer') {
          const { transport } = pc.acceptAnswer(message.value.sdp);
          isOffered ||= transport.candidates.some((candidate) => isOn(path, candidate));
        }
        if (message.case !== 'trickle' || message.value.target !== SignalTarget.PUBLISHER) return;
        const candidate = JSON.parse(message.value.candidateInit) as IceCandidate;
        if (!isOn(path, candidate.candidate)) return;
        isOffered = true;
        pc.addIceCandidate(candidate);
      } catch (error) {
        reject(error);
      }
    };
    pc.createDataChannel('_reliable', { ordered: true });
    const sdp = pc.offer([dataSection('0')]);
    client.send({ case: 'offer', value: new SessionDescription({ type: 'offer', sdp }) });
  });
  try {
    await connected;
  } finally {
    clearTimeout(timer);
  }
}

async function connectOver(
  path: MediaPath,
  options: IceProbeOptions,
): Promise<Omit<ProbeStep, 'name' | 'elapsedMs'>> {
  const { url, token, signal } = options;
  const deadlines = resolveDeadlines();
  const timeline = new Timeline(`doctor ${path}`);
  const client = await SignalClient.open({
    urls: [url],
    token,
    timeline,
    deadlines,
    abort: signal,
    autoSubscribe: false,
    adaptiveStream: false,
  });
  let pc: PeerConnection | undefined;
  try {
    const given = client.first.case === 'join' ? client.first.value.iceServers : [];
    const iceServers = path === 'TURN' ? given.filter(isTurn) : [];
    if (path === 'TURN' && iceServers.length === 0)
      return { outcome: 'skipped', says: 'the server offers no TURN' };
    pc = new PeerConnection({
      name: `doctor-${path}`,
      iceServers,
      protocols: path === 'TURN' ? [] : [path === 'UDP' ? 'udp' : 'tcp'],
      dtlsRole: 'server',
    });
    const opened = pc;
    const deadline = {
      stage: 'ice',
      timeoutMs: deadlines.ice,
      signal,
      what: `media over ${path}`,
      advice: advices[path],
    } as const;
    await withDeadline(deadline, () => negotiate(client, opened, path));
    const pair = pc.pair;
    const remote = pair ? ` to ${pair.remote.address}:${pair.remote.port}` : '';
    const relay =
      iceServers.length > 0 ? ` through ${iceServers.flatMap(({ urls }) => urls).join(', ')}` : '';
    return { outcome: 'ok', says: `media goes over ${path}${remote}${relay}` };
  } catch (error) {
    if (error instanceof NotOffered) return { outcome: 'skipped', says: `the server offers no ${path}` };
    throw error;
  } finally {
    pc?.close();
    await leave(client);
  }
}

/**
 * Leaves, and waits until the server has ended the connection. If somebody joined under this identity before that, the
 * server might end the new connection instead.
 */
async function leave(client: SignalClient): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, leaveMs);
    client.onMessage = () => {};
    client.onClose = () => {
      clearTimeout(timer);
      resolve();
    };
    const leave = { reason: DisconnectReason.CLIENT_INITIATED, action: LeaveRequest_Action.DISCONNECT };
    client.send({ case: 'leave', value: new LeaveRequest(leave) });
  });
  client.close();
}

/** Whether a peer connection comes up over one path alone. */
export async function probeMediaPath(path: MediaPath, options: IceProbeOptions): Promise<ProbeStep> {
  const startedMs = performance.now();
  const step = (finding: Omit<ProbeStep, 'name' | 'elapsedMs'>): ProbeStep => ({
    name: `media over ${path}`,
    ...finding,
    elapsedMs: performance.now() - startedMs,
  });
  try {
    return step(await connectOver(path, options));
  } catch (error) {
    const says = error instanceof OffhookError ? error.summary : describeError(error);
    const code = error instanceof OffhookError ? error.code : undefined;
    return step({ outcome: 'failed', code, says, advice: advices[path] });
  }
}
