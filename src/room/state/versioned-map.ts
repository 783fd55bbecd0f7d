/** How a version differs from the next newer one: what `key` has in the older. */
interface Difference<Key, Value> {
  newer: VersionedMap<Key, Value>;
  key: Key;
  isPresent: boolean;
  value: Value | undefined;
}

/**
 * A map that is never changed in place: a change makes a new version, in a time that does not grow with the map. The
 * newest version has the entries, each older one what it differs in from the next. Reading an older version is as
 * correct and costs as much as there are changes between; keys keep the order in which the newest got them.
 */
export class VersionedMap<Key, Value> implements ReadonlyMap<Key, Value> {
  #entries: Map<Key, Value> | undefined;
  #difference: Difference<Key, Value> | undefined;

  constructor(entries: Iterable<readonly [Key, Value]> = []) {
    this.#entries = new Map(entries);
  }

  with(key: Key, value: Value): VersionedMap<Key, Value> {
    return this.#change(key, (entries) => entries.set(key, value));
  }

  without(key: Key): VersionedMap<Key, Value> {
    return this.has(key) ? this.#change(key, (entries) => entries.delete(key)) : this;
  }

  /** The keys whose entries may differ in a later version that was made from this one. */
  changedKeys(later: VersionedMap<Key, Value>): Set<Key> {
    const keys = new Set<Key>();
    let version: VersionedMap<Key, Value> = this;
    while (version !== later) {
      const { newer, key } = version.#difference ?? {};
      // Not made from this one, or an older version was read since: any of them may differ.
      if (newer === undefined) return new Set([...this.keys(), ...later.keys()]);
      keys.add(key!);
      version = newer;
    }
    return keys;
  }

  get size(): number {
    return this.#own().size;
  }

  get(key: Key): Value | undefined {
    return this.#own().get(key);
  }

  has(key: Key): boolean {
    return this.#own().has(key);
  }

  keys(): MapIterator<Key> {
    return this.#own().keys();
  }

  values(): MapIterator<Value> {
    return this.#own().values();
  }

  entries(): MapIterator<[Key, Value]> {
    return this.#own().entries();
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.entries();
  }

  forEach(callback: (value: Value, key: Key, map: ReadonlyMap<Key, Value>) => void): void {
    for (const [key, value] of this.#own()) callback(value, key, this);
  }

  #change(key: Key, apply: (entries: Map<Key, Value>) => void): VersionedMap<Key, Value> {
    const entries = this.#own();
    const newer = new VersionedMap<Key, Value>();
    this.#difference = { newer, key, isPresent: entries.has(key), value: entries.get(key) };
    this.#entries = undefined;
    apply(entries);
    newer.#entries = entries;
    return newer;
  }

  /** The entries of this version: those of the newest are turned back when it is an older one. */
  #own(): Map<Key, Value> {
    if (this.#entries) return this.#entries;
    const path: VersionedMap<Key, Value>[] = [];
    let version: VersionedMap<Key, Value> = this;
    while (!version.#entries) {
      path.push(version);
      version = version.#difference!.newer;
    }
    for (const older of path.reverse()) {
      older.#takeFrom(version);
      version = older;
    }
    return this.#entries!;
  }

  #takeFrom(newer: VersionedMap<Key, Value>): void {
    const entries = newer.#entries!;
    const { key, isPresent, value } = this.#difference!;
    newer.#difference = { newer: this, key, isPresent: entries.has(key), value: entries.get(key) };
    newer.#entries = undefined;
    if (isPresent) entries.set(key, value as Value);
    else entries.delete(key);
    this.#entries = entries;
    this.#difference = undefined;
  }
}
