import { existsSync, readFileSync } from 'node:fs';
import { FfiEvent } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import { RoomEvent } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import { expect, test } from 'vitest';
import { compatibilityPage } from '../../scripts/compatibility.mjs';
import { eventTable, roomEventTable } from '../../src/ffi/event-table.js';
import { laterRequestRows } from '../../src/ffi/later-requests.js';
import { requestTable } from '../../src/ffi/request-table.js';

const oneOf = (type: typeof FfiEvent | typeof RoomEvent) =>
  type.fields
    .list()
    .filter(({ oneof }) => oneof)
    .map(({ localName }) => localName)
    .sort();

test('docs/compatibility.md is what the tables say', () => {
  const page = readFileSync(new URL('../../docs/compatibility.md', import.meta.url), 'utf8');
  expect(page, 'run: node scripts/compatibility.mjs').toBe(
    compatibilityPage({ requestTable, laterRequestRows, eventTable, roomEventTable }),
  );
});

test('the tables name every event of the protocol, and no other', () => {
  expect(Object.keys(eventTable).sort()).toEqual(oneOf(FfiEvent));
  expect(Object.keys(roomEventTable).sort()).toEqual(oneOf(RoomEvent));
});

test('every test that the tables name is there', () => {
  const rows = [
    ...Object.values(requestTable),
    ...Object.values(eventTable),
    ...Object.values(roomEventTable),
  ];
  for (const name of new Set(rows.flatMap(({ test: shownBy }) => shownBy ?? []))) {
    expect(existsSync(new URL(`../${name}.test.ts`, import.meta.url)), name).toBe(true);
  }
});
