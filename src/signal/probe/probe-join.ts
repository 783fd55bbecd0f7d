import { DisconnectReason, type JoinResponse, LeaveRequest, LeaveRequest_Action } from '@livekit/protocol';
import { OffhookError, resolveDeadlines, Timeline, withDeadline } from '../../timeline/index.js';
import { checkTokenFormat, suspectToken } from '../access-token.js';
import { httpGet } from '../http-get.js';
import { joinQuery } from '../join-query.js';
import { openServer } from '../open-server.js';
import { sentenceOf } from '../refusal.js';
import { hostOf, httpEndpointOf } from '../server-url.js';
import { connectionFor, type Finding, type ProbeOptions, type ProbeStep } from './probe-step.js';

const session = { autoSubscribe: false, adaptiveStream: false };

/** Asks the server over HTTP whether it would let the token in. */
export async function probeValidate(server: URL, options: ProbeOptions): Promise<Finding> {
  const { token, signal } = options;
  checkTokenFormat(token);
  const host = hostOf(server);
  const url = httpEndpointOf(server, 'rtc/validate');
  url.search = joinQuery(session).toString();
  const deadline = {
    stage: 'websocket',
    host,
    timeoutMs: resolveDeadlines().websocket,
    signal,
    what: `answer of ${host} to GET /rtc/validate`,
    advice:
      'The port accepts connections and answers no HTTP request: check that a LiveKit server listens there.',
  } as const;
  const answer = await withDeadline(deadline, (abort) =>
    httpGet(url, token, connectionFor({ ...options, signal: abort })),
  );
  if (answer.status === 200) return { outcome: 'ok', says: 'the server accepts the token' };
  const says = [`HTTP ${answer.status}`, sentenceOf(answer.body, token)].filter(Boolean).join(', ');
  if (answer.status !== 401 && answer.status !== 403) {
    return {
      outcome: 'failed',
      says,
      advice: 'Check that the address is that of a LiveKit server, and read its log.',
    };
  }
  return {
    outcome: 'failed',
    says: `the server refuses the token: ${says}`,
    advice: suspectToken(token, Date.now()),
  };
}

function describeWelcome({ serverInfo, room, participant }: JoinResponse): string {
  const region = serverInfo?.region ? `, region ${serverInfo.region}` : '';
  const version = serverInfo?.version || 'of unknown version';
  return `joined ${room?.name} as ${participant?.identity}; server ${version}${region}`;
}

/** Joins and leaves at once. WebSocket and join are of one connection; its timeline tells them apart. */
export async function probeJoin(server: URL, options: ProbeOptions): Promise<ProbeStep[]> {
  const timeline = new Timeline('probe');
  let welcome = '';
  let advice: string | undefined;
  try {
    const connection = connectionFor(options, timeline);
    const { socket, first } = await openServer(server, { ...connection, ...session, token: options.token });
    const leave = { reason: DisconnectReason.CLIENT_INITIATED, action: LeaveRequest_Action.DISCONNECT };
    socket.send({ case: 'leave', value: new LeaveRequest(leave) });
    socket.close();
    if (first.case === 'join') welcome = describeWelcome(first.value);
  } catch (error) {
    if (error instanceof OffhookError) advice = error.advice;
  }
  const stepOf = (stage: 'websocket' | 'join', name: string, good: string): ProbeStep => {
    const row = timeline.spans.find((span) => span.stage === stage);
    if (!row) return { name, outcome: 'skipped', says: 'not reached', elapsedMs: 0 };
    const elapsedMs = (row.endMs ?? row.startMs) - row.startMs;
    if (row.outcome === 'ok') return { name, outcome: 'ok', says: good, elapsedMs };
    return { name, outcome: 'failed', says: row.detail ?? 'failed', advice, elapsedMs };
  };
  return [
    stepOf('websocket', 'WebSocket', 'the server upgraded the connection'),
    stepOf('join', 'join', welcome),
  ];
}
