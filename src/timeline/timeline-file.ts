import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError } from '../errors/index.js';
import { createLogger, makeFolder } from '../logging/index.js';
import type { Timeline } from './timeline.js';

const log = createLogger('timeline');

/** It grows when a field goes or changes its meaning. */
const schemaVersion = 1;

let saved = 0;

/**
 * Keeps `timeline` as a JSON file (a TimelineRecord with `schemaVersion` and `pid`) in `folder`, written anew whenever a step ends, so that another
 * process can read it at any time. Returns what stops it.
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
      if (!isReported) log.warn(`${path}: the timeline is not saved: ${describeError(error)}`);
      isReported = true;
    }
  };
  return timeline.onSpanEnd(write);
}
