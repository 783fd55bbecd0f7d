import type { Stage } from '../../errors/index.js';
import { createLogger, type Logger } from '../../logging/index.js';
import {
  describeDuration,
  escapeHtml,
  logTimeline,
  type Span,
  Timeline,
  type TimelineRecord,
  traceTimeline,
} from '../../timeline/index.js';
import type { TracedMessage } from '../call/index.js';
import { limits } from '../limits.js';
import { formatHostPort } from '../message/index.js';

const log = createLogger('sip/call');

/** One message of a call's ladder. */
export interface LadderMessage {
  /** Since the call began. */
  atMs: number;
  direction: 'in' | 'out';
  /** `INVITE sip:…`, `180 Ringing`. */
  summary: string;
  /** The other end: `192.0.2.7:5060/udp`. */
  peer: string;
}

/** What is known of a call once it is over. */
export interface CallRecord {
  callId: string;
  direction: 'inbound' | 'outbound';
  from: string;
  to: string;
  room: string;
  outcome: string;
  timeline: TimelineRecord;
  ladder: LadderMessage[];
}

type CallStage = Extract<Stage, `sip-${string}`>;

/** The steps and messages of one call, for logs, spans and pages. */
export class CallLog {
  readonly timeline: Timeline;
  readonly ladder: LadderMessage[] = [];
  /** Its records name the room and the phone's participant as soon as they are known. */
  readonly logger: Logger;
  readonly #open = new Map<CallStage, Span>();
  readonly #stop: (() => void)[];

  constructor(callId: string) {
    this.timeline = new Timeline(`call ${callId}`);
    this.logger = log.about(this.timeline.subject);
    this.#stop = [logTimeline(this.timeline, log), traceTimeline(this.timeline)];
  }

  /** The call is that of `identity` in `room` from now on. */
  isAbout(room: string, identity: string): void {
    Object.assign(this.timeline.subject, { room, identity });
  }

  /** A step that is under way already goes on: a telephone may say several times that it rings. */
  begin(stage: CallStage, host?: string, deadlineMs?: number): void {
    if (this.#open.has(stage)) return;
    const attributes = {
      ...(host === undefined ? {} : { host }),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
    };
    this.#open.set(stage, this.timeline.begin(stage, attributes));
  }

  /** Ends a step that is under way; a step that is not is left alone. */
  end(stage: CallStage, outcome: 'ok' | 'failed' | 'deadline' | 'abandoned' = 'ok', detail?: string): void {
    this.#open.get(stage)?.end(outcome, detail);
    this.#open.delete(stage);
  }

  /** Ends every step that is under way: the call is over. */
  finish(outcome: 'ok' | 'failed' | 'deadline' | 'abandoned', detail: string): void {
    for (const stage of [...this.#open.keys()]) this.end(stage, outcome, detail);
    for (const stop of this.#stop) stop();
  }

  note({ direction, message, flow }: TracedMessage): void {
    if (this.ladder.length >= limits.callMessages.value) return;
    const summary =
      message.kind === 'request'
        ? message.method
        : `${message.status} ${message.reason} (${message.cseq.method})`;
    const { address, port } = flow.remote;
    const peer = `${formatHostPort(address, port)}/${flow.protocol}`;
    this.ladder.push({ atMs: this.timeline.elapsedMs(), direction, summary, peer });
  }

  /** `invite 1 ms, room 24 ms, agent 180 ms, audio 41 ms`. */
  summary(): string {
    return this.timeline.spans
      .filter(({ outcome }) => outcome === 'ok')
      .map(
        ({ stage, startMs, endMs }) => `${stage.slice(4)} ${describeDuration((endMs ?? startMs) - startMs)}`,
      )
      .join(', ');
  }
}

const rowHeight = 26;
const width = 400;
const left = 84;
const right = 372;

/** The messages of a call as an SVG: the phone on the left, offhook on the right, time downwards. */
export function ladderPicture({ ladder }: Pick<CallRecord, 'ladder'>): string {
  const height = 50 + ladder.length * rowHeight;
  const rows = ladder.map(({ atMs, direction, summary }, i) => {
    const y = 56 + i * rowHeight;
    const [from, to] = direction === 'in' ? [left, right] : [right, left];
    const head = direction === 'in' ? -8 : 8;
    return `<text x="4" y="${y + 4}" class="t">${atMs.toFixed(0)} ms</text>\
<path d="M${from} ${y}H${to}M${to + head} ${y - 4}L${to} ${y}L${to + head} ${y + 4}"/>\
<text x="${(left + right) / 2}" y="${y - 5}" text-anchor="middle">${escapeHtml(summary)}</text>`;
  });
  const peer = ladder[0]?.peer ?? 'phone';
  return `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Ladder of SIP messages" class="ladder">
<style>.ladder text{font:12.5px system-ui,sans-serif;fill:currentColor}.ladder .t{fill:var(--faint)}\
.ladder path{stroke:currentColor;fill:none}</style>
<text x="${left}" y="16" text-anchor="middle">${escapeHtml(peer)}</text>
<text x="${right}" y="16" text-anchor="middle">offhook</text>
<path d="M${left} 24V${height}M${right} 24V${height}" opacity=".4"/>
${rows.join('\n')}
</svg>`;
}
