import { OffhookError } from '../errors/index.js';
import { failureOf } from './callbacks.js';
import { type EventInit, encodeEvent } from './outbox.js';
import { DisconnectReason } from './protocol.js';
import type { ErrorRecord, Owed } from './wire.js';

const engineGone: ErrorRecord = { code: 'OFFHOOK_CLOSED', message: 'the engine has ended' };

/** The events that a program still gets when the engine does not settle them, encoded. */
export function owedEvents(owed: Owed, reason: ErrorRecord = engineGone): Uint8Array[] {
  if ('roomHandle' in owed) {
    const { roomHandle } = owed;
    const reason = DisconnectReason.UNKNOWN_REASON;
    return [
      encodeEvent({
        case: 'roomEvent',
        value: { roomHandle, message: { case: 'disconnected', value: { reason } } },
      }),
      encodeEvent({ case: 'roomEvent', value: { roomHandle, message: { case: 'eos', value: {} } } }),
    ];
  }
  if ('stream' in owed) {
    const { stream, streamHandle } = owed;
    return [
      encodeEvent({
        case: stream,
        value: { streamHandle, message: { case: 'eos', value: {} } },
      } as EventInit),
    ];
  }
  const { code, message, ...details } = reason;
  const error = new OffhookError(code, message, details);
  if ('reader' in owed) {
    const { reader, readerHandle } = owed;
    const detail = { case: 'eos' as const, value: { error: { description: error.message }, attributes: {} } };
    return [encodeEvent({ case: reader, value: { readerHandle, detail } } as EventInit)];
  }
  const { callback, asyncId } = owed;
  return [encodeEvent({ case: callback, value: { ...failureOf[callback](error), asyncId } } as EventInit)];
}
