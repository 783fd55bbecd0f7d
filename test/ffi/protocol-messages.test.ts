import { createRequire } from 'node:module';
import { FfiEvent, FfiRequest, FfiResponse } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import { describe, expect, test } from 'vitest';
import { eventTable, roomEventTable } from '../../src/ffi/event-table.js';
import { requestTable } from '../../src/ffi/request-table.js';

// As it is shipped: the build writes it.
const shipped = await import(createRequire(import.meta.url).resolve('../../dist/ffi/protocol.js'));

interface Field {
  no: number;
  name: string;
  localName: string;
  kind: string;
  T?: unknown;
  V?: { kind: string; T: unknown };
  K?: unknown;
  repeated: boolean;
  packed: boolean;
  opt: boolean;
  req: boolean;
  L?: unknown;
  default?: unknown;
  oneof?: { name: string };
}
interface Type {
  typeName: string;
  fields: { list(): readonly Field[] };
  values?: { no: number; name: string; localName: string }[];
}

const tables: Record<string, Record<string, { status: string }>> = {
  'livekit.proto.FfiRequest': requestTable,
  'livekit.proto.FfiEvent': eventTable,
  'livekit.proto.RoomEvent': roomEventTable,
};

const typeOf = (kind: string, T: unknown) => (kind === 'scalar' ? T : (T as Type).typeName);

/** What `expected` says of a message and of all within it that `actual` says otherwise. */
function differences(actual: Type, expected: Type, seen = new Set<string>()): string[] {
  if (seen.has(expected.typeName)) return [];
  seen.add(expected.typeName);
  const found: string[] = [];
  const describeField = ({ V, K, T, oneof, kind, ...field }: Field) => {
    const { no, name, localName, repeated, packed, opt, req, L, default: byDefault } = field;
    const type = kind === 'map' ? [K, V!.kind, typeOf(V!.kind, V!.T)] : typeOf(kind, T);
    return { no, name, localName, kind, type, repeated, packed, opt, req, L, byDefault, oneof: oneof?.name };
  };
  for (const [index, field] of expected.fields.list().entries()) {
    const other = actual.fields.list()[index];
    const isUsed = !['not yet', 'never'].includes(tables[expected.typeName]?.[field.localName]?.status ?? '');
    if (!isUsed && other?.localName === field.localName && other.no === field.no) continue;
    const [a, b] = [other && describeField(other), describeField(field)].map((value) =>
      JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)),
    );
    if (a !== b) found.push(`${expected.typeName}.${field.name}: ${a} in place of ${b}`);
    else if (field.kind === 'message') found.push(...differences(other!.T as Type, field.T as Type, seen));
    else if (field.kind === 'enum') {
      expect((other!.T as Type).values).toEqual((field.T as Type).values);
    }
  }
  return found;
}

describe('the message classes that the package ships', () => {
  for (const [name, expected] of Object.entries({ FfiRequest, FfiResponse, FfiEvent })) {
    test(`say of ${name} what the bindings say, down to the last field`, () => {
      expect(differences(shipped[name], expected as unknown as Type)).toEqual([]);
    });
  }

  test('are exported under the names that the engine knows them by', async () => {
    const source = await import('../../src/ffi/protocol.js');
    expect(Object.keys(shipped).sort()).toEqual(Object.keys(source).sort());
  });
});
