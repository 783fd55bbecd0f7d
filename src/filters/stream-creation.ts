import type { Span } from '../timeline/index.js';
import type { FilterHost, FilterStreamOptions } from './filter-host.js';
import { reasonOf } from './filter-report.js';
import type { FilterSession } from './filter-session.js';

interface StreamCreation {
  host: FilterHost;
  slot: number;
  session: FilterSession;
  span: Span | undefined;
  deadlineMs: number;
  onCreated: () => void;
  /** The deadline has passed; it may still be created. */
  onLate: () => void;
  onRefused: (reason: string) => void;
}

/** Has a session's stream created in the filter's host, which may take for ever. */
export function createStream(creation: StreamCreation): void {
  const { host, slot, session, span, deadlineMs, onCreated, onLate, onRefused } = creation;
  const deadline = setTimeout(() => {
    span?.end('deadline', 'the stream is not created; audio passes unfiltered until it is');
    onLate();
  }, deadlineMs).unref();
  host.createStream(slot, streamOptions(session)).then(
    () => {
      clearTimeout(deadline);
      span?.end('ok');
      onCreated();
    },
    (error: unknown) => {
      clearTimeout(deadline);
      const reason = reasonOf(error);
      span?.end('failed', reason);
      onRefused(reason);
    },
  );
}

function streamOptions({ inputRate, outputRate, options, streamInfo }: FilterSession): FilterStreamOptions {
  return {
    inputRate,
    outputRate,
    numChannels: options.numChannels,
    format: options.format ?? 'int16',
    optionsJson: options.optionsJson || '{}',
    streamInfoJson: JSON.stringify(streamInfo),
  };
}
