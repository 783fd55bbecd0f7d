import { createSocket, type Socket } from 'node:dgram';
import dns from 'node:dns';
import { once } from 'node:events';
import { syncBuiltinESMExports } from 'node:module';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { OffhookError } from '../../../src/errors/index.js';
import { limits } from '../../../src/limits.js';
import {
  attributeOf,
  parseStun,
  type StunAttribute,
  type StunMessage,
  serializeStun,
  stunAttribute,
  stunMethod,
  xorAddress,
} from '../../../src/transport/ice/stun.js';
import { TurnLink } from '../../../src/transport/ice/turn-link.js';

const peer = { address: '127.0.0.1', port: 4_000 };

/** A TURN server on UDP that says yes, or that finds every nonce stale. */
class FakeTurnServer {
  lifetimeS = 600;
  /** Bytes of the lifetime in its answers; four are right. */
  lifetimeBytes = 4;
  readonly requests: StunMessage[] = [];
  /** What the client sends to its peers. */
  relayed = 0;
  /** The client's address. */
  client: { address: string; port: number } | undefined;
  isForgetful = false;
  #socket: Socket = createSocket('udp4');

  async open(): Promise<number> {
    this.#socket.on('message', (packet, { address, port }) => {
      this.client = { address, port };
      const request = parseStun(packet);
      if (!request) {
        this.relayed++;
        return;
      }
      this.requests.push(request);
      const isRefused = this.isForgetful || !attributeOf(request, stunAttribute.nonce);
      const { method, transactionId } = request;
      const attributes = isRefused ? this.#refusal() : this.#answer(request);
      const answer = { class: isRefused ? 'error' : 'success', method, transactionId, attributes } as const;
      this.#socket.send(serializeStun(answer), port, address);
    });
    this.#socket.bind(0, '127.0.0.1');
    await once(this.#socket, 'listening');
    return this.#socket.address().port;
  }

  sendToClient(packet: Buffer): void {
    this.#socket.send(packet, this.client!.port, this.client!.address);
  }

  close(): void {
    this.#socket.close();
  }

  /** Lifetimes, in seconds, of the Refresh requests that have come. */
  get refreshed(): number[] {
    return this.requests
      .filter(({ method }) => method === stunMethod.refresh)
      .map((request) => attributeOf(request, stunAttribute.lifetime)!.readUInt32BE());
  }

  count(method: number): number {
    return this.requests.filter((request) => request.method === method).length;
  }

  #refusal(): StunAttribute[] {
    const stale = this.requests.length > 1;
    return [
      { type: stunAttribute.errorCode, value: Buffer.of(0, 0, 4, stale ? 38 : 1) },
      { type: stunAttribute.realm, value: Buffer.from('realm') },
      { type: stunAttribute.nonce, value: Buffer.from(`nonce ${this.requests.length}`) },
    ];
  }

  #answer({ transactionId }: StunMessage): StunAttribute[] {
    const relayed = xorAddress({ address: '127.0.0.1', port: 5_000 }, transactionId);
    const lifetime = Buffer.alloc(4);
    lifetime.writeUInt32BE(this.lifetimeS);
    return [
      { type: stunAttribute.xorRelayedAddress, value: relayed },
      { type: stunAttribute.lifetime, value: lifetime.subarray(0, this.lifetimeBytes) },
    ];
  }
}

let server: FakeTurnServer;
let link: TurnLink;
let received: Buffer[];

beforeEach(async () => {
  server = new FakeTurnServer();
  received = [];
  const port = await server.open();
  const access = { username: 'u', credential: 'c', transport: 'udp' } as const;
  const onPacket = (_path: unknown, packet: Buffer) => {
    received.push(packet);
    return true;
  };
  link = new TurnLink({ hostname: 'localhost', port, ...access }, onPacket, () => {});
});
afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  link.close();
  server.close();
});

/** Allocates, and binds a channel to the peer. */
async function openPath() {
  await link.allocate();
  const path = link.pathTo(peer);
  await expect.poll(() => server.count(stunMethod.channelBind)).toBe(1);
  await expect
    .poll(() => {
      path.send(Buffer.from('x'));
      return server.relayed;
    })
    .toBeGreaterThan(0);
  return path;
}

test('the name of a server is looked up once, not for each packet', async () => {
  const names: unknown[] = [];
  const { lookup } = dns;
  const counted = (name: string, ...rest: unknown[]) => {
    names.push(name);
    return (lookup as (...args: unknown[]) => void)(name, ...rest);
  };
  vi.spyOn(dns, 'lookup').mockImplementation(counted as never);
  const path = await openPath();
  const before = server.relayed;
  for (let i = 0; i < 100; i++) path.send(Buffer.from('packet'));
  await expect.poll(() => server.relayed).toBeGreaterThan(before + 50);
  // The one look-up may have been made before the spy was there.
  expect(names.filter((name) => name === 'localhost').length).toBeLessThanOrEqual(1);
});

test('an allocation is given back when it is closed', async () => {
  await openPath();
  link.close();
  await expect.poll(() => server.refreshed).toEqual([0]);
});

test('an allocation of 136 years is not refreshed at once', async () => {
  server.lifetimeS = 0xffff_ffff;
  const timers = vi.spyOn(globalThis, 'setTimeout');
  await link.allocate();
  expect(Math.max(...timers.mock.calls.map(([, delayMs = 0]) => delayMs))).toBe(limits.timer.value);
});

test('an answer whose lifetime is malformed counts as one of ten minutes', async () => {
  server.lifetimeBytes = 2;
  const timers = vi.spyOn(globalThis, 'setTimeout');
  await link.allocate();
  expect(timers.mock.calls.map(([, delayMs]) => delayMs)).toContain(300_000);
});

test('what another than the server sends is not taken for a packet of the peer', async () => {
  await openPath();
  const packet = Buffer.concat([Buffer.of(0x40, 0, 0, 4), Buffer.from('evil')]);
  const stranger = createSocket('udp4');
  stranger.bind(0, '127.0.0.1');
  await once(stranger, 'listening');
  for (let i = 0; i < 10; i++) stranger.send(packet, server.client!.port, server.client!.address);
  // What the server itself sends afterwards is taken.
  const genuine = Buffer.concat([Buffer.of(0x40, 0, 0, 4), Buffer.from('good')]);
  await expect
    .poll(() => {
      server.sendToClient(genuine);
      return received.map(String);
    })
    .toContain('good');
  stranger.close();
  expect(received.map(String)).not.toContain('evil');
});

test('a server that finds every nonce stale is asked a few times only', async () => {
  server.isForgetful = true;
  const refused = (await link.allocate().catch((error: unknown) => error)) as OffhookError;
  expect(refused).toMatchObject({ code: 'OFFHOOK_TRANSPORT', message: expect.stringContaining('438') });
  expect(server.count(stunMethod.allocate)).toBeLessThanOrEqual(4);
});
