import { OffhookError } from '../../errors/index.js';

/** Answers a request that this engine does not serve yet. */
export function notYet(what: string): () => never {
  return () => {
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', `${what}: not supported yet`);
  };
}
