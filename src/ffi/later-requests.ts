import { type Message, type MessageType, proto2, ScalarType } from '@bufbuild/protobuf';
import { describeError, OffhookError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import type { Context } from './context.js';

/*
 * Requests of FFI 0.12.80 to 0.13.2, as Python's `livekit` speaks it: the bindings that this package uses, of 0.12.73, do
 * not have them. All are of video that is captured or encoded outside of the engine.
 */

type Fields = Parameters<typeof proto2.makeMessageType>[1];
const message = (name: string, fields: Fields = []) => proto2.makeMessageType(`offhook.${name}`, fields);
const uint64 = ScalarType.UINT64;
const string = ScalarType.STRING;

const Anything = message('Anything');
const InError = message('InError', [{ no: 1, name: 'error', kind: 'scalar', T: string, opt: true }]);
const NewCaptureSource = message('NewCaptureSource', [
  { no: 3, name: 'request_async_id', kind: 'scalar', T: uint64, opt: true },
]);
const AsyncId = message('AsyncId', [{ no: 1, name: 'async_id', kind: 'scalar', T: uint64 }]);
const Callback = message('NewCaptureSourceCallback', [
  { no: 1, name: 'async_id', kind: 'scalar', T: uint64 },
  { no: 2, name: 'error', kind: 'scalar', T: string, opt: true },
]);

const log = createLogger('ffi');

interface LaterRequest {
  name: string;
  /** What the request is made of, as far as it matters. */
  type: MessageType;
  /** Answers with the fields of the response; without it the request fails. */
  respond?(error: string, request: Message, context: Context): { type: MessageType; fields: object };
}

const inError = (error: string) => ({ type: InError, fields: { error } });

/** By field number in FfiRequest and FfiResponse. */
const laterRequests: ReadonlyMap<number, LaterRequest> = new Map<number, LaterRequest>([
  [87, { name: 'captureEncodedVideoFrame', type: Anything }],
  [88, { name: 'takeEncodedVideoSourceFeedback', type: Anything }],
  [89, { name: 'startCapture', type: Anything, respond: inError }],
  [90, { name: 'stopCapture', type: Anything, respond: inError }],
  [91, { name: 'newCaptureSource', type: NewCaptureSource, respond: respondToNewCaptureSource }],
]);
const newCaptureSourceEvent = 47;

/** Their rows in docs/compatibility.md. */
export const laterRequestRows = Object.fromEntries(
  [...laterRequests.values()].map(({ name }) => [
    name,
    { status: 'not yet', note: 'Of FFI 0.12.80 and later, as Python speaks it.', test: 'ffi/later-requests' },
  ]),
);

/** A message with one field, of the number that FfiRequest, FfiResponse and FfiEvent have for it. */
const envelope = (no: number, T: MessageType) =>
  message(`Envelope${no}${T.typeName}`, [{ no, name: 'content', kind: 'message', T, opt: true }]);

function encode(no: number, type: MessageType, fields: object): Uint8Array {
  return new (envelope(no, type))({ content: new type(fields) }).toBinary();
}

/** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for bytes that are no message */
function contentOf(request: Uint8Array, number: number, type: MessageType): Message | undefined {
  try {
    return (envelope(number, type).fromBinary(request) as Message & { content?: Message }).content;
  } catch (cause) {
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      `the request is not an FfiRequest: ${describeError(cause)}`,
      {
        cause,
      },
    );
  }
}

/**
 * Answers a request that the bindings do not know.
 *
 * @returns the encoded FfiResponse
 * @throws OffhookError `OFFHOOK_NOT_SUPPORTED`, where the response cannot say so; `OFFHOOK_INVALID_REQUEST`
 */
export function answerLaterRequest(request: Uint8Array, context: Context): Uint8Array {
  for (const [number, { name, type, respond }] of laterRequests) {
    const content = contentOf(request, number, type);
    if (!content) continue;
    const error = new OffhookError('OFFHOOK_NOT_SUPPORTED', `request ${name}: not supported yet`);
    log.warn(describeError(error));
    if (!respond) throw error;
    const response = respond(describeError(error), content, context);
    return encode(number, response.type, response.fields);
  }
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'the request is empty, or of a later protocol');
}

/** The callback says that there is no such source. */
function respondToNewCaptureSource(error: string, request: Message, { handles, outbox }: Context) {
  const { requestAsyncId } = request as Message & { requestAsyncId?: bigint };
  const asyncId = requestAsyncId ?? BigInt(handles.nextId());
  setImmediate(() => outbox.send(encode(newCaptureSourceEvent, Callback, { asyncId, error })));
  return { type: AsyncId, fields: { asyncId } };
}
