import type { FilterStreamOptions } from './filter-host.js';
import type { Samples } from './samples.js';

/** What the engine asks of the worker thread that runs a filter's module. */
export type ScriptRequest =
  | { op: 'load'; id: number; url: string; token: string }
  | { op: 'ping'; id: number }
  | { op: 'updateToken'; url: string; token: string }
  | { op: 'create'; id: number; slot: number; stream: FilterStreamOptions }
  | { op: 'process'; slot: number; sequence: number; samples: Samples; outputLength: number }
  | { op: 'streamInfo'; slot: number; streamInfoJson: string }
  | { op: 'destroy'; slot: number };

export type ScriptReply =
  | { event: 'opened'; sampleRate: number | undefined }
  | { event: 'done'; id: number; error?: string }
  | { event: 'frame'; slot: number; sequence: number; samples: Samples }
  | { event: 'frameFailed'; slot: number; sequence: number; reason: string }
  /** The module is no filter. */
  | { event: 'refused'; reason: string };
