import type { TimelineRecord } from '../../timeline/index.js';
import type { CallStep } from './call-record.js';

/** A JSON line that the caller prints. */
export interface CallerLine {
  event: string;
  atMs: number;
}

/** What is used of a JSON log line of the agents framework. */
export interface AgentLine {
  /** Milliseconds since 1970. */
  time: number;
  msg: string;
  newState?: string;
}

const callerSays: Record<string, Omit<CallStep, 'atMs' | 'who'>> = {
  calling: { what: 'dials' },
  ringing: { what: 'is in the room and hears it ring' },
  joined: { what: 'sees the agent join' },
  'line-open': { what: 'gets the agent’s audio track' },
  greeted: { what: 'hears the agent', mark: 'agent heard' },
  speaks: { what: 'says: “Hello, this is a caller. Is anybody there?”', mark: 'caller speaks' },
  answered: { what: 'hears the answer', mark: 'answer' },
  'hung-up': { what: 'hangs up: the call went well', mark: 'hangs up' },
  'gave-up': { what: 'has heard nothing and gives up', mark: 'gives up' },
};

const agentSays: Record<string, string> = {
  'received job request': 'is asked to take the call',
  connected: 'is connected: connect() has returned',
  'agent state: speaking': 'speaks',
  'caller state: speaking': 'hears the caller speak',
};

/** JSON of a line, when it is a line of JSON. */
export function parseJsonLine<T>(line: string): T | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as T;
  } catch {
    return undefined;
  }
}

/** A log line of an agent, whichever framework's: that for Python has other names for the message and the time. */
export function parseAgentLine(line: string): AgentLine | undefined {
  const parsed = parseJsonLine<AgentLine & { message?: string; timestamp?: string }>(line);
  if (parsed?.message === undefined || parsed.timestamp === undefined) return parsed;
  return { ...parsed, msg: parsed.message, time: Date.parse(parsed.timestamp) };
}

/** What went wrong, when a line is one of the engine's own of the levels `warn` and `error`. */
export function engineComplaint(line: string): string | undefined {
  return /^\S+Z (?:warn|error) +offhook\/(.+)$/.exec(line)?.[1];
}

export function callerStep({ event, atMs }: CallerLine, dialledAtMs: number): CallStep | undefined {
  const says = callerSays[event];
  return says && { atMs: atMs - dialledAtMs, who: 'caller', ...says };
}

export function agentStep({ time, msg, newState }: AgentLine, dialledAtMs: number): CallStep | undefined {
  const what = agentSays[newState === undefined ? msg : `${msg}: ${newState}`];
  return what === undefined || time < dialledAtMs
    ? undefined
    : { atMs: time - dialledAtMs, who: 'agent', what };
}

/** What the engine did about filters: when each was declared ready or unavailable. */
export function filterSteps({ startedAt, spans }: TimelineRecord, dialledAtMs: number): CallStep[] {
  return spans
    .filter((span) => span.stage === 'filter-load' && span.endMs !== undefined)
    .map((span) => ({
      atMs: Date.parse(startedAt) + span.endMs! - dialledAtMs,
      who: 'engine',
      what:
        span.outcome === 'ok'
          ? `filter ${span.filter ?? ''} is ready`
          : `declares filter ${span.filter ?? ''} unavailable: ${span.detail ?? span.outcome}`,
      mark: span.outcome === 'ok' ? 'filter ready' : 'filter unavailable',
    }));
}
