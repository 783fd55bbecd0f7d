import { OffhookError } from '../errors/index.js';
import { failureOf } from './callbacks.js';
import { type EventInit, encodeEvent } from './outbox.js';
import { DisconnectReason } from './protocol.js';
import type { Owed } from './wire.js';

/** The events that a program still gets when the engine thread is lost, encoded. */
export function owedEvents(owed: Owed): Uint8Array[] {
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
  const { callback, asyncId } = owed;
  const gone = new OffhookError('OFFHOOK_CLOSED', 'the engine thread is gone');
  return [encodeEvent({ case: callback, value: { ...failureOf[callback](gone), asyncId } } as EventInit)];
}
