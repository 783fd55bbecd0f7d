import { OffhookError } from '../errors/index.js';
import { failureOf } from './callbacks.js';
import { type EventInit, encodeEvent } from './outbox.js';
import { DisconnectReason } from './protocol.js';
import type { Owed } from './wire.js';

/** The events that a program still gets when the engine is lost, encoded. */
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
  if ('stream' in owed) {
    const { stream, streamHandle } = owed;
    return [
      encodeEvent({
        case: stream,
        value: { streamHandle, message: { case: 'eos', value: {} } },
      } as EventInit),
    ];
  }
  const gone = new OffhookError('OFFHOOK_CLOSED', 'the engine is gone');
  if ('reader' in owed) {
    const { reader, readerHandle } = owed;
    const error = { description: gone.message };
    const detail = { case: 'eos' as const, value: { error, attributes: {} } };
    return [encodeEvent({ case: reader, value: { readerHandle, detail } } as EventInit)];
  }
  const { callback, asyncId } = owed;
  return [encodeEvent({ case: callback, value: { ...failureOf[callback](gone), asyncId } } as EventInit)];
}
