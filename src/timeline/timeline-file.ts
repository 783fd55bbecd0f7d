import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../errors/index.js';
import { createLogger, makeFolder } from '../logging/index.js';
import type { Timeline } from './timeline.js';

const log = createLogger('timeline');

/** Increased when a field is removed or changes its meaning. */
const schemaVersion = 1;

let saved = 0;

/**
 * Keeps `timeline` as a JSON file in `folder`: a TimelineRecord with `schemaVersion` and `pid`. It is rewritten whenever a step
 * ends, so that another process can read it at any time. Returns the function that stops it.
 */
export function saveTimeline(timeline: Timeline, folder: string): () => void {
  saved += 1;
  const path = join(folder, `${process.pid}-${saved}.json`);
  let isReported = false;
  const write = () => {
    try {
      makeFolder(folder);
      writeFileSync(
        `${path}.part`,
        JSON.stringify({ schemaVersion, pid: process.pid, ...timeline.toJSON() }, null, 2),
      );
      renameSync(`${path}.part`, path);
    } catch (error) {
      // A full or read-only disk must not cost a call.
      if (!isReported) log.warn(`the timeline cannot be written to ${path}: ${describeError(error)}`);
      isReported = true;
    }
  };
  return timeline.onSpanEnd(write);
}
