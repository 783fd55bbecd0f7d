import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VersionedMap } from '../../src/room/state/versioned-map.js';

test('every version keeps its entries, whatever is made of it and in whatever order versions are read', () => {
  const change = fc.record({
    from: fc.nat(),
    key: fc.integer({ min: 0, max: 5 }),
    value: fc.option(fc.integer(), { nil: undefined }),
  });
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 40 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      (changes, reads) => {
        const versions = [{ map: new VersionedMap<number, number>(), model: new Map<number, number>() }];
        for (const { from, key, value } of changes) {
          const { map, model } = versions[from % versions.length]!;
          const next = new Map(model);
          if (value === undefined) next.delete(key);
          else next.set(key, value);
          versions.push({ map: value === undefined ? map.without(key) : map.with(key, value), model: next });
        }
        for (const read of [...reads, ...versions.keys()]) {
          const { map, model } = versions[read % versions.length]!;
          expect(new Map(map)).toEqual(model);
          expect(map.size).toBe(model.size);
        }
      },
    ),
  );
});

test('the newest version has its keys in the order in which they came', () => {
  let map = new VersionedMap<string, number>();
  for (const key of ['b', 'a', 'c']) map = map.with(key, 1);
  map = map.with('b', 2).without('a').with('a', 3);
  expect([...map]).toEqual([
    ['b', 2],
    ['c', 1],
    ['a', 3],
  ]);
});

test('what changed between two versions is known without looking at the rest', () => {
  const first = new VersionedMap([
    ['a', 1],
    ['b', 1],
    ['c', 1],
  ]);
  const last = first.with('b', 2).with('d', 1).without('a');
  expect(first.changedKeys(last)).toEqual(new Set(['b', 'd', 'a']));
  expect(last.changedKeys(last)).toEqual(new Set());
  const another = new VersionedMap([['x', 1]]);
  expect(last.changedKeys(another)).toEqual(new Set(['b', 'c', 'd', 'x']));
});
