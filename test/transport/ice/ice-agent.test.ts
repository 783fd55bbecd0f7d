import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IceAgent, type IcePath } from '../../../src/transport/ice/ice-agent.js';
import { seededRandom } from '../../audio/seeded-random.js';

const alice = { ufrag: 'aliceUfrag', pwd: 'password-of-alice-000000' };
const bob = { ufrag: 'bobUfrag', pwd: 'password-of-bob-00000000' };

interface Side {
  agent: IceAgent;
  selected: IcePath[];
  lost: number;
  silent: number;
}

interface Wire {
  from: 'a' | 'b';
  path: number;
  packet: Buffer;
}

/** Two agents and `paths` ways between them; a packet is on its way until `deliver`. */
function makePair({
  aControls = true,
  bControls = false,
  paths = 1,
  bLite = false,
  passes = (_: Wire): boolean => true,
} = {}) {
  const wires: Wire[] = [];
  const removed: IcePath[] = [];
  const ends = { a: [] as IcePath[], b: [] as IcePath[] };
  const makeSide = (name: 'a' | 'b', controlling: boolean, tieBreaker: bigint): Side => {
    const side: Side = {
      selected: [],
      lost: 0,
      silent: 0,
      agent: new IceAgent({
        local: name === 'a' ? alice : bob,
        controlling,
        lite: name === 'b' && bLite,
        tieBreaker,
        priority: 1,
        randomBytes,
        onSelected: (path) => side.selected.push(path),
        onRemoved: (path) => removed.push(path),
        onUsable: () => {},
        onSilent: () => side.silent++,
        onLost: () => side.lost++,
      }),
    };
    side.agent.setRemote(name === 'a' ? bob : alice, controlling);
    for (let path = 0; path < paths; path++) {
      ends[name].push({
        protocol: 'udp',
        local: undefined,
        remote: { address: '127.0.0.1', port: 1_000 + path },
        send: (packet) => {
          const wire = { from: name, path, packet };
          if (passes(wire)) wires.push(wire);
        },
      });
    }
    return side;
  };
  const a = makeSide('a', aControls, 5n);
  const b = makeSide('b', bControls, 9n);
  const deliver = (nowMs: number) => {
    for (let wire = wires.shift(); wire; wire = wires.shift()) {
      const to = wire.from === 'a' ? 'b' : 'a';
      (to === 'a' ? a : b).agent.receive(ends[to][wire.path]!, wire.packet, nowMs);
    }
  };
  const run = (fromMs: number, toMs: number) => {
    for (let nowMs = fromMs; nowMs <= toMs; nowMs += 20) {
      a.agent.handleTimeout(nowMs);
      b.agent.handleTimeout(nowMs);
      deliver(nowMs);
    }
  };
  return { a, b, ends, wires, removed, run };
}

describe('IceAgent', () => {
  test('two agents agree on a path, though one of them knows of none beforehand', () => {
    const { a, b, ends, run } = makePair();
    a.agent.add(ends.a[0]!, 0);
    run(0, 100);
    expect(a.selected).toEqual([ends.a[0]]);
    expect(b.selected).toEqual([ends.b[0]]);
  });

  test.each([
    [true, true],
    [false, false],
    [false, true],
  ])('roles are settled when the sides begin as %s and %s', (aControls, bControls) => {
    const { a, b, ends, run } = makePair({ aControls, bControls });
    a.agent.add(ends.a[0]!, 0);
    b.agent.add(ends.b[0]!, 0);
    run(0, 1_000);
    expect(a.selected).toHaveLength(1);
    expect(b.selected).toHaveLength(1);
  });

  test('a way that leads nowhere is passed over', () => {
    const { a, b, ends, run } = makePair({ paths: 3, passes: ({ path }) => path === 2 });
    for (const path of ends.a) a.agent.add(path, 0);
    run(0, 500);
    expect(a.agent.selected).toBe(ends.a[2]);
    expect(b.agent.selected).toBe(ends.b[2]);
  });

  test('half of the packets may be lost', () => {
    const random = seededRandom(1);
    const { a, b, ends, run } = makePair({ passes: () => random() < 0.5 });
    a.agent.add(ends.a[0]!, 0);
    run(0, 5_000);
    expect(a.agent.selected).toBe(ends.a[0]);
    expect(b.agent.selected).toBe(ends.b[0]);
  });

  test('thirty seconds of silence on the path lose it', () => {
    let open = true;
    const { a, ends, run } = makePair({ passes: () => open });
    a.agent.add(ends.a[0]!, 0);
    run(0, 100);
    run(100, 20_000);
    expect(a.lost).toBe(0);
    open = false;
    run(20_000, 55_000);
    expect(a.lost).toBe(1);
    expect(a.agent.selected).toBeUndefined();
  });

  test('once a path is chosen, it is asked for consent twice a second', () => {
    const { a, ends, run } = makePair();
    a.agent.add(ends.a[0]!, 0);
    run(0, 100);
    a.agent.handleTimeout(120);
    const waitMs = a.agent.nextTimeoutMs(120) - 120;
    expect(waitMs).toBeGreaterThan(300);
    expect(waitMs).toBeLessThanOrEqual(500);
  });

  test('a path that stops answering is told of within two seconds, once, and may come back', () => {
    let open = true;
    const { a, b, ends, run } = makePair({ passes: () => open });
    a.agent.add(ends.a[0]!, 0);
    run(0, 10_000);
    expect([a.silent, b.silent]).toEqual([0, 0]);
    open = false;
    run(10_000, 12_000);
    expect([a.silent, b.silent]).toEqual([1, 1]);
    run(12_000, 15_000);
    expect([a.silent, b.silent]).toEqual([1, 1]);
    open = true;
    run(15_000, 20_000);
    open = false;
    run(20_000, 22_000);
    expect([a.silent, b.silent]).toEqual([2, 2]);
    expect([a.lost, b.lost]).toEqual([0, 0]);
  });

  test('a path can be used as soon as it answers, before the other side has chosen it', () => {
    const { a, b, ends, run } = makePair({ aControls: false, bControls: false });
    a.agent.add(ends.a[0]!, 0);
    expect(a.agent.usable).toBeUndefined();
    run(0, 40);
    expect(a.agent.usable).toBe(ends.a[0]);
    expect(a.agent.rttMs).toBe(0);
    expect(b.agent.hasHeard('udp')).toBe(true);
    expect(b.agent.hasHeard('tcp')).toBe(false);
  });

  test('a lite agent checks nothing, answers, and takes the path that the other side nominates', () => {
    const { a, b, ends, wires, run } = makePair({ bLite: true });
    b.agent.add(ends.b[0]!, 0);
    b.agent.handleTimeout(0);
    expect(wires).toEqual([]);
    a.agent.add(ends.a[0]!, 0);
    run(0, 100);
    expect(a.selected).toEqual([ends.a[0]]);
    expect(b.selected).toEqual([ends.b[0]]);
    expect(b.agent.usable).toBe(ends.b[0]);
  });

  test('a lite agent loses a path on which nothing has come for thirty seconds', () => {
    let open = true;
    const { a, b, ends, run } = makePair({ bLite: true, passes: () => open });
    a.agent.add(ends.a[0]!, 0);
    run(0, 10_000);
    open = false;
    run(10_000, 39_000);
    expect(b.lost).toBe(0);
    run(39_000, 41_000);
    expect(b.lost).toBe(1);
  });

  test('only a path on which the other side has signed something carries more than checks', () => {
    const { a, b, ends, run } = makePair({ paths: 2, passes: ({ path }) => path === 0 });
    for (const path of ends.a) a.agent.add(path, 0);
    expect(b.agent.accepts(ends.b[0]!)).toBe(false);
    run(0, 100);
    expect(b.agent.accepts(ends.b[0]!)).toBe(true);
    expect(a.agent.accepts(ends.a[1]!)).toBe(false);
    expect(b.agent.accepts(ends.b[1]!)).toBe(false);
  });

  test('a further path takes the place of the one that was silent for longest, never of the one in use', () => {
    const { a, b, ends, removed, run } = makePair({ paths: 70 });
    a.agent.add(ends.a[0]!, 0);
    run(0, 100);
    expect(b.agent.selected).toBe(ends.b[0]);
    for (const path of ends.b.slice(1)) b.agent.add(path, 200);
    expect(removed).toHaveLength(6);
    expect(removed).not.toContain(ends.b[0]);
    expect(b.agent.selected).toBe(ends.b[0]);
  });

  test('checks of a peer whose credentials are not known yet are answered', () => {
    const answers: Buffer[] = [];
    const { a, ends, wires } = makePair();
    a.agent.add(ends.a[0]!, 0);
    a.agent.handleTimeout(0);
    const early = new IceAgent({
      local: bob,
      controlling: false,
      lite: false,
      tieBreaker: 1n,
      priority: 1,
      randomBytes,
      onUsable: () => {},
      onSelected: () => {},
      onRemoved: () => {},
      onSilent: () => {},
      onLost: () => {},
    });
    const path: IcePath = { ...ends.b[0]!, send: (packet) => answers.push(packet) };
    expect(early.receive(path, wires[0]!.packet, 0)).toBe(true);
    expect(answers).toHaveLength(1);
    expect(early.usable).toBeUndefined();
  });

  test('what is not signed with the right passwords changes nothing', () => {
    const { a, ends, wires } = makePair();
    const stranger = makePair();
    stranger.a.agent.add(stranger.ends.a[0]!, 0);
    stranger.a.agent.handleTimeout(0);
    const check = stranger.wires[0]!.packet;
    fc.assert(
      fc.property(fc.nat({ max: check.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const forged = Buffer.from(check);
        forged[at]! ^= flip;
        a.agent.receive(ends.a[0]!, forged, 0);
        a.agent.receive(ends.a[0]!, forged.subarray(0, at), 0);
      }),
    );
    expect(wires).toEqual([]);
    expect(a.selected).toEqual([]);
  });
});
