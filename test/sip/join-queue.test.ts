import { describe, expect, test } from 'vitest';
import { JoinQueue } from '../../src/sip/gateway/join-queue.js';
import { GatewayHouse } from './gateway-house.js';
import { plainSdp, RawPeer, requestOf } from './raw-peer.js';
import { until } from './until.js';
import { ToneWorker } from './worker.js';

const never = new AbortController().signal;

describe('the queue of calls that join their rooms', () => {
  /** Joins that end when the test says so. */
  function joins(queue: JoinQueue) {
    const begun: string[] = [];
    const finish = new Map<string, (error?: Error) => void>();
    const start = (name: string, abort = never) =>
      queue.run(abort, () => {
        begun.push(name);
        return new Promise<string>((resolve, reject) =>
          finish.set(name, (error) => (error ? reject(error) : resolve(name))),
        );
      });
    return { begun, finish, start };
  }

  test('lets so many join at once, and the others in their order', async () => {
    const queue = new JoinQueue({ atOnce: 2, waiting: 2, waitMs: 1_000 });
    const { begun, finish, start } = joins(queue);
    const all = ['a', 'b', 'c', 'd'].map((name) => start(name));
    expect(begun).toEqual(['a', 'b']);
    expect(queue.isFull).toBe(true);
    finish.get('b')!();
    await all[1];
    expect(begun).toEqual(['a', 'b', 'c']);
    expect(queue.isFull).toBe(false);
    finish.get('a')!(new Error('no room'));
    await expect(all[0]).rejects.toThrow('no room');
    expect(begun).toEqual(['a', 'b', 'c', 'd']);
    for (const name of ['c', 'd']) finish.get(name)!();
    expect(await Promise.all(all.slice(2))).toEqual(['c', 'd']);
    expect(queue.isBusy).toBe(false);
  });

  test('is full while a call has waited too long, however few wait', async () => {
    let nowMs = 0;
    const queue = new JoinQueue({ atOnce: 1, waiting: 100, waitMs: 1_000 }, () => nowMs);
    const { finish, start } = joins(queue);
    const first = start('first');
    const second = start('second');
    nowMs = 1_000;
    const third = start('third');
    expect(queue.isFull).toBe(false);
    nowMs = 1_001;
    expect(queue.isFull).toBe(true);
    finish.get('first')!();
    await first;
    expect(queue.isFull).toBe(false);
    for (const [name, join] of Object.entries({ second, third })) {
      finish.get(name)!();
      await join;
    }
  });

  test('forgets a call that is given up while it waits', async () => {
    const queue = new JoinQueue({ atOnce: 1, waiting: 1, waitMs: 1_000 });
    const { begun, finish, start } = joins(queue);
    const first = start('first');
    const controller = new AbortController();
    const second = start('second', controller.signal);
    expect(queue.isFull).toBe(true);
    controller.abort(new Error('given up'));
    await expect(second).rejects.toThrow('given up');
    expect(queue.isFull).toBe(false);
    const third = start('third');
    finish.get('first')!();
    await first;
    expect(begun).toEqual(['first', 'third']);
    finish.get('third')!();
    await third;
    await expect(start('late', controller.signal)).rejects.toThrow('given up');
    expect(queue.isBusy).toBe(false);
  });
});

describe('a gateway whose calls come faster than they can be brought into rooms', () => {
  test('refuses the last ones at once, and answers those that waited', async () => {
    const house = await GatewayHouse.open({ joins: { atOnce: 1, waiting: 1, waitMs: 60_000 } });
    const worker = await ToneWorker.start(house.server);
    const peer = await RawPeer.open(house.gateway.port);
    try {
      for (const callId of ['first', 'second', 'third']) {
        peer.send(requestOf(peer, 'INVITE', callId, [], plainSdp));
      }
      const refused = await peer.final('third', 'INVITE');
      expect(refused.status).toBe(503);
      expect(refused.headers.get('Retry-After')).toBe('10');
      expect(peer.responses('first').some(({ status }) => status >= 200)).toBe(false);
      expect((await peer.final('first', 'INVITE')).status).toBe(200);
      expect((await peer.final('second', 'INVITE')).status).toBe(200);
      await until(() => house.gateway.counts().calls === 2, 'two calls go on');
    } finally {
      peer.close();
      await worker.stop();
      await house.close();
    }
  });

  test('lets the next one wait when a waiting caller hangs up', async () => {
    const house = await GatewayHouse.open({ joins: { atOnce: 1, waiting: 1, waitMs: 60_000 } });
    const worker = await ToneWorker.start(house.server);
    const peer = await RawPeer.open(house.gateway.port);
    try {
      for (const callId of ['first', 'second']) {
        peer.send(requestOf(peer, 'INVITE', callId, [], plainSdp));
      }
      await until(
        () => peer.responses('second').some(({ status }) => status === 180),
        'the second one rings',
      );
      peer.send(requestOf(peer, 'CANCEL', 'second'));
      expect((await peer.final('second', 'INVITE')).status).toBe(487);
      peer.send(requestOf(peer, 'INVITE', 'third', [], plainSdp));
      expect((await peer.final('third', 'INVITE')).status).toBe(200);
      expect((await peer.final('first', 'INVITE')).status).toBe(200);
    } finally {
      peer.close();
      await worker.stop();
      await house.close();
    }
  });
});
