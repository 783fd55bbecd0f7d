import type { FfiEvent, FfiRequest, FfiResponse } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';

type Case<Message extends { case: string | undefined }> = Exclude<Message['case'], undefined>;
type ValueOf<Message extends { case: string | undefined; value?: unknown }, Name> = Extract<
  Message,
  { case: Name }
>['value'];

/** Name of a request in FfiRequest's oneof. */
export type RequestCase = Case<FfiRequest['message']>;
export type RequestOf<Name extends RequestCase> = ValueOf<FfiRequest['message'], Name>;

/** Requests answer under their own name, but for the editing of a chat message. */
type ResponseCaseOf<Name extends RequestCase> = Name extends 'editChatMessage' ? 'sendChatMessage' : Name;
export type ResponseOf<Name extends RequestCase> = ValueOf<FfiResponse['message'], ResponseCaseOf<Name>>;

type AnyMessage = { toBinary(): Uint8Array };

type FieldInit<Field> = Field extends Uint8Array | bigint | boolean | string | number | undefined
  ? Field
  : Field extends (infer Item)[]
    ? FieldInit<Item>[]
    : Field extends AnyMessage
      ? InitOf<Field>
      : Field extends { case: infer Name extends string; value: infer Value }
        ? { case: Name; value: FieldInit<Value> }
        : Field;

/**
 * What a message of the bindings can be made from: its fields, as plain objects all the way down. (protobuf's own
 * `PartialMessage` does not fit: the bindings are typed with its CommonJS build, this package with the other.)
 */
export type InitOf<Type> = {
  [Name in keyof Type as Type[Name] extends (...args: never[]) => unknown ? never : Name]?: FieldInit<
    Type[Name]
  >;
};

/** Name of an event in FfiEvent's oneof. */
export type EventCase = Case<FfiEvent['message']>;
export type EventOf<Name extends EventCase> = ValueOf<FfiEvent['message'], Name>;

/** Events that settle a request: they bear its `asyncId`. */
export type CallbackCase = {
  [Name in EventCase]: EventOf<Name> extends { asyncId?: bigint } ? Name : never;
}[EventCase];
