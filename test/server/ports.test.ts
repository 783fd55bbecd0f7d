import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { startServer } from '../../src/server/index.js';
import { SignalPeer } from './signal-peer.js';

test('a TCP port that is taken is an error that says which, and nothing stays open', async () => {
  const occupant = createServer().listen(0, '127.0.0.1');
  await once(occupant, 'listening');
  const { port } = occupant.address() as { port: number };
  const probe = createSocket('udp4').bind(0, '127.0.0.1');
  await once(probe, 'listening');
  const rtcPort = probe.address().port;
  probe.close();
  await once(probe, 'close');
  await expect(startServer({ port, rtcPort })).rejects.toMatchObject({
    code: 'OFFHOOK_UNREACHABLE',
    message: expect.stringContaining(`TCP port ${port} of 127.0.0.1 is taken`),
    stage: 'server',
    advice: expect.stringContaining('--port'),
  });
  const again = await startServer({ port: 0, rtcPort });
  expect(again.rtcPort).toBe(rtcPort);
  await again.close();
  occupant.close();
});

test('a UDP port that is taken is an error that says which', async () => {
  const occupant = createSocket('udp4').bind(0, '127.0.0.1');
  await once(occupant, 'listening');
  const rtcPort = occupant.address().port;
  await expect(startServer({ port: 0, rtcPort })).rejects.toMatchObject({
    code: 'OFFHOOK_UNREACHABLE',
    message: expect.stringContaining(`UDP port ${rtcPort}`),
    advice: expect.stringContaining('--rtc-port'),
  });
  occupant.close();
});

test('an address that is not of this machine is an error', async () => {
  await expect(startServer({ port: 0, host: '203.0.113.1' })).rejects.toMatchObject({
    code: 'OFFHOOK_UNREACHABLE',
  });
});

test('the media port is held while nobody is there', async () => {
  const server = await startServer({ port: 0 });
  const rival = createSocket('udp4');
  const outcome = once(rival, 'error');
  rival.bind(server.rtcPort, '127.0.0.1');
  expect((await outcome)[0]).toMatchObject({ code: 'EADDRINUSE' });
  rival.close();
  await server.close();
});

test('closing sends everybody away, says why, and can be followed by a new start on the same ports', async () => {
  const first = await startServer({ port: 0 });
  const peer = await SignalPeer.join(first.url, 'r', 'ada');
  await first.close();
  expect(await peer.next('leave')).toMatchObject({ reason: 3 });
  await peer.closed;
  const port = Number(new URL(first.url).port);
  const second = await startServer({ port, rtcPort: first.rtcPort });
  expect(second.url).toBe(first.url);
  await second.close();
});

test('a server on all addresses offers loopback first to those who came over it', async () => {
  const server = await startServer({ port: 0, host: '0.0.0.0' });
  const peer = await SignalPeer.join(server.url.replace('0.0.0.0', '127.0.0.1'), 'r', 'ada');
  const { sdp } = await peer.next('offer');
  const [candidate] = sdp.match(/a=candidate:.*/g) ?? [];
  expect(candidate).toContain(` 127.0.0.1 ${server.rtcPort} typ host`);
  peer.close();
  await server.close();
});
