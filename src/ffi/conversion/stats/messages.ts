import type { RtcStats } from '@livekit/rtc-ffi-bindings/proto/stats_pb.js';
import type { InitOf } from '../../messages.js';

export type Stats = InitOf<RtcStats>;
type Entry = NonNullable<Stats['stats']>;

/** When statistics were asked for: since 1970, and on the monotonic clock that packets are timed by. */
export interface StatsTime {
  wallMs: number;
  monotonicMs: number;
}

export const statsTime = (): StatsTime => ({ wallMs: Date.now(), monotonicMs: performance.now() });

/** Milliseconds since 1970 of a time on the monotonic clock; 0 without one. */
export function wallTimeOf(atMs: number | undefined, { wallMs, monotonicMs }: StatsTime): number {
  return atMs === undefined || atMs === 0 ? 0 : wallMs - (monotonicMs - atMs);
}

/** The values of a message's required fields before anything is known (names of scalar types as protobuf numbers them). */
const zeroOf: Record<number, unknown> = {
  1: 0, // double
  3: 0n, // int64
  4: 0n, // uint64
  5: 0, // int32
  8: false, // bool
  9: '', // string
  13: 0, // uint32
};

interface MessageClass<Type> {
  new (init: never): Type;
  readonly fields: { list(): readonly { localName: string; kind: string; req?: boolean; T?: unknown }[] };
}

/** A message with what is known of it; required fields that this engine does not measure are zero. */
export function withZeros<Type extends object>(type: MessageClass<Type>, known: InitOf<Type>): Type {
  const zeros = Object.fromEntries(
    type.fields
      .list()
      .filter(({ kind, req }) => req && kind !== 'message')
      .map(({ localName, kind, T }) => [localName, kind === 'enum' ? 0 : zeroOf[T as number]]),
  );
  return new type({ ...zeros, ...known } as never);
}

/** One entry; its time is in microseconds since 1970. */
export function entry<Name extends Entry['case']>(
  name: Name,
  id: string,
  atMs: number,
  value: Omit<NonNullable<Extract<Entry, { case: Name }>['value']>, 'rtc'>,
): Stats {
  const rtc = { id, timestamp: BigInt(Math.round(atMs * 1_000)) };
  return { stats: { case: name, value: { rtc, ...value } } as Entry };
}

export const count = (value: number): bigint => BigInt(Math.round(value));
