import type { JoinResponse } from '@livekit/protocol';
import { resolveDeadlines, withDeadline } from '../../deadlines/index.js';
import { OffhookError } from '../../errors/index.js';
import { Timeline } from '../../timeline/index.js';
import { checkTokenFormat, suspectToken } from '../access-token.js';
import { type HttpAnswer, httpGet } from '../http-get.js';
import { joinQuery } from '../join-query.js';
import { openServer } from '../open-server.js';
import { adviceFor, sentenceOf } from '../refusal.js';
import { hostOf, httpEndpointOf } from '../server-url.js';
import { connectionFor, type Finding, type ProbeOptions, type ProbeStep } from './probe-step.js';

const session = { autoSubscribe: false, adaptiveStream: false };

/** GET /rtc/validate, under the deadline of a WebSocket. */
function askValidate(server: URL, token: string, options: ProbeOptions): Promise<HttpAnswer> {
  const host = hostOf(server);
  const url = httpEndpointOf(server, 'rtc/validate');
  url.search = joinQuery(session).toString();
  const deadline = {
    stage: 'websocket',
    host,
    timeoutMs: resolveDeadlines().websocket,
    signal: options.signal,
    what: `answer of ${host} to GET /rtc/validate`,
    advice:
      'The port accepts connections and answers no HTTP request: check that a LiveKit server listens there.',
  } as const;
  return withDeadline(deadline, (abort) => httpGet(url, token, connectionFor({ ...options, signal: abort })));
}

/** Asks the server over HTTP without a token, which a LiveKit server refuses with 401. */
export async function probeHttp(server: URL, options: ProbeOptions): Promise<Finding> {
  const { status, body } = await askValidate(server, '', options);
  if (status === 401) return { outcome: 'ok', says: 'a LiveKit server answers: it asks for a token' };
  const says = [`HTTP ${status}`, sentenceOf(body, '')].filter(Boolean).join(', ');
  return { outcome: 'failed', code: 'OFFHOOK_SERVER_REFUSED', says, advice: adviceFor(status) };
}

/** Asks the server over HTTP whether it would let the token in. */
export async function probeValidate(server: URL, token: string, options: ProbeOptions): Promise<Finding> {
  checkTokenFormat(token);
  const { status, body } = await askValidate(server, token, options);
  if (status === 200) return { outcome: 'ok', says: 'the server accepts the token' };
  const says = [`HTTP ${status}`, sentenceOf(body, token)].filter(Boolean).join(', ');
  if (status !== 401 && status !== 403) {
    return { outcome: 'failed', code: 'OFFHOOK_SERVER_REFUSED', says, advice: adviceFor(status) };
  }
  return {
    outcome: 'failed',
    code: 'OFFHOOK_UNAUTHORIZED',
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
export async function probeJoin(server: URL, token: string, options: ProbeOptions): Promise<ProbeStep[]> {
  const timeline = new Timeline('probe');
  let welcome = '';
  let failure: Partial<Pick<ProbeStep, 'says' | 'advice' | 'code'>> = {};
  try {
    const connection = connectionFor(options, timeline);
    const { socket, first } = await openServer(server, { ...connection, ...session, token });
    // The next join under this identity must not meet the participant that leaves.
    await socket.leave();
    if (first.case === 'join') welcome = describeWelcome(first.value);
  } catch (error) {
    if (error instanceof OffhookError)
      failure = { says: error.summary, advice: error.advice, code: error.code };
  }
  const stepOf = (stage: 'websocket' | 'join', name: string, good: string): ProbeStep => {
    const row = timeline.spans.find((span) => span.stage === stage);
    if (!row) return { name, outcome: 'skipped', says: 'not reached', elapsedMs: 0 };
    const elapsedMs = (row.endMs ?? row.startMs) - row.startMs;
    if (row.outcome === 'ok') return { name, outcome: 'ok', says: good, elapsedMs };
    return { name, outcome: 'failed', says: row.detail ?? 'failed', ...failure, elapsedMs };
  };
  return [
    stepOf('websocket', 'WebSocket', 'the server upgraded the connection'),
    stepOf('join', 'join', welcome),
  ];
}
