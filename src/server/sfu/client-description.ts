import { OffhookError } from '../../errors/index.js';
import type { Limit } from '../../limits.js';
import { type Description, parseDescription } from '../../transport/index.js';
import { limits } from '../limits.js';

/** A description is larger than any client's should be; its sender is not worth another attempt. */
export class LimitError extends OffhookError {
  constructor(what: string, found: number, { value }: Limit) {
    super('OFFHOOK_PROTOCOL', `the session description has ${found} ${what}, at most ${value} are read`);
  }
}

/**
 * Parses a client's session description.
 *
 * @throws LimitError when it is too large, which is found without parsing it.
 * @throws OffhookError `OFFHOOK_PROTOCOL` when it is not SDP, or lacks ICE credentials or a fingerprint.
 */
export function parseClientDescription(sdp: string): Description {
  const { descriptionBytes, descriptionLines, descriptionSections } = limits;
  if (sdp.length > descriptionBytes.value) throw new LimitError('bytes', sdp.length, descriptionBytes);
  const lines = occurrences(sdp, '\n');
  if (lines > descriptionLines.value) throw new LimitError('lines', lines, descriptionLines);
  const sections = occurrences(sdp, '\nm=');
  if (sections > descriptionSections.value) throw new LimitError('sections', sections, descriptionSections);
  // A copy: each text that is kept of it would keep the whole description in memory.
  return structuredClone(parseDescription(sdp));
}

function occurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}
