import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Timeline } from './timeline.js';

let saved = 0;

/**
 * Keeps `timeline` as a JSON file (a TimelineRecord) in `folder`, written anew whenever a step ends, so that another
 * process can read it at any time. Returns what stops it.
 */
export function saveTimeline(timeline: Timeline, folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  saved += 1;
  const path = join(folder, `${process.pid}-${saved}.json`);
  const write = () => {
    writeFileSync(`${path}.part`, JSON.stringify(timeline, null, 2));
    renameSync(`${path}.part`, path);
  };
  return timeline.onSpanEnd(write);
}
