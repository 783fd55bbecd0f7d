import { type Stage, withoutTokens } from '../errors/index.js';
import { limits } from '../limits.js';
import type { LogSubject } from '../logging/index.js';

export type Outcome = 'ok' | 'failed' | 'deadline' | 'abandoned';

export interface SpanAttributes {
  /** Host name and port that this step talked to, e.g. `example.livekit.cloud:443`. */
  host?: string;
  /** Address the host resolved to, or the selected candidate, e.g. `127.0.0.1:7882/udp`. */
  address?: string;
  /** Which try of several this is, from 1. */
  attempt?: number;
  /** The filter this row is about: module id or plugin path. */
  filter?: string;
  deadlineMs?: number;
  /** Anything a person should read beside the bar: why it failed, what was chosen. */
  detail?: string;
}

export interface SpanRecord extends SpanAttributes {
  stage: Stage;
  /** Milliseconds since the timeline began. */
  startMs: number;
  /** Undefined while the step is under way. */
  endMs?: number;
  outcome?: Outcome;
}

/** The room and participant that the steps belong to, as far as they are known. */
export interface TimelineSubject extends LogSubject {
  /** Of the server, as it was given. */
  url?: string | undefined;
}

export interface TimelineRecord extends TimelineSubject {
  name: string;
  /** Wall-clock time at which the timeline began, as ISO 8601. */
  startedAt: string;
  spans: SpanRecord[];
  /** How many steps between the first and the latest ones are no longer kept. */
  forgotten: number;
}

/** A room that reconnects for days keeps its first connect and what happened lately. */
const keptFirst = 64;
const keptLatest = limits.timelineSteps.value - keptFirst;

export interface Span {
  readonly record: Readonly<SpanRecord>;
  set(attributes: SpanAttributes): void;
  /** Ends the step; later calls are ignored. */
  end(outcome: Outcome, detail?: string): void;
}

type SpanListener = (span: Readonly<SpanRecord>) => void;

/** The steps of connecting (and of reconnecting) of one room, in the order in which they began. */
export class Timeline {
  readonly name: string;
  /** Wall-clock time at which the timeline began, in milliseconds since the epoch. */
  readonly startedAtMs = Date.now();
  /** Filled in as it becomes known. */
  readonly subject: TimelineSubject = {};
  #startedMs: number;
  #spans: SpanRecord[] = [];
  #forgotten = 0;
  #listeners = new Set<SpanListener>();
  #nowMs: () => number;

  constructor(name: string, nowMs: () => number = () => performance.now()) {
    this.name = name;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
  }

  get spans(): readonly Readonly<SpanRecord>[] {
    return this.#spans;
  }

  /** Milliseconds since the timeline began, with one decimal: people read them. */
  elapsedMs(): number {
    return Math.round((this.#nowMs() - this.#startedMs) * 10) / 10;
  }

  begin(stage: Stage, attributes: SpanAttributes = {}): Span {
    const record: SpanRecord = { stage, startMs: this.elapsedMs(), ...attributes };
    this.#keep(record);
    return {
      record,
      set: (more) => {
        Object.assign(record, more);
      },
      end: (outcome, detail) => {
        if (record.endMs !== undefined) return;
        record.endMs = this.elapsedMs();
        record.outcome = outcome;
        if (detail !== undefined) record.detail = withoutTokens(detail);
        for (const listener of this.#listeners) listener(record);
      },
    };
  }

  /** Calls `listener` with every step as it ends. Returns the function that stops it. */
  onSpanEnd(listener: SpanListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  toJSON(): TimelineRecord {
    return {
      name: this.name,
      ...this.subject,
      startedAt: new Date(this.startedAtMs).toISOString(),
      spans: this.#spans.map((span) => ({ ...span })),
      forgotten: this.#forgotten,
    };
  }

  #keep(record: SpanRecord): void {
    this.#spans.push(record);
    if (this.#spans.length <= keptFirst + keptLatest) return;
    this.#spans.splice(keptFirst, 1);
    this.#forgotten += 1;
  }
}
