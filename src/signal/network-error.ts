import { OffhookError, type Stage } from '../errors/index.js';

interface Explanation {
  says: string;
  advice: string;
}

/** What the error codes of Node's network calls mean to a person. Certificate errors are in certificate-error.ts. */
const explanations: Record<string, Explanation> = {
  ECONNREFUSED: {
    says: 'connection refused (ECONNREFUSED)',
    advice: 'Nothing listens there: check host and port, and that the server runs.',
  },
  ECONNRESET: {
    says: 'the connection was reset (ECONNRESET)',
    advice: 'A server or something on the way closed it: check that the port speaks this protocol.',
  },
  EHOSTUNREACH: {
    says: 'no route to the host (EHOSTUNREACH)',
    advice: 'Check the network of this machine and firewalls on the way.',
  },
  ENETUNREACH: {
    says: 'no route to the network (ENETUNREACH)',
    advice: 'Check the network of this machine; for an IPv6 address, whether it has IPv6.',
  },
  ETIMEDOUT: {
    says: 'no answer (ETIMEDOUT)',
    advice: 'Packets are dropped on the way: check firewalls and the address.',
  },
  EPIPE: {
    says: 'the connection was closed by the other end (EPIPE)',
    advice: 'A server or something on the way closed it: check that the port speaks this protocol.',
  },
};

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** An error of a socket as an error of the stage it happened in. */
export function unreachable(
  error: unknown,
  where: { stage: Stage; host: string; elapsedMs?: number },
): OffhookError {
  if (error instanceof OffhookError) return error;
  const known = explanations[codeOf(error)];
  const says = known?.says ?? (error instanceof Error ? error.message : String(error));
  return new OffhookError('OFFHOOK_UNREACHABLE', `cannot reach ${where.host}: ${says}`, {
    ...where,
    advice: known?.advice ?? 'Check the address of the server and the network in between.',
    cause: error,
  });
}
