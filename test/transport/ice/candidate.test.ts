import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { candidateAddress, hostCandidate } from '../../../src/transport/ice/candidate.js';
import { stunServers, turnServers } from '../../../src/transport/ice/ice-servers.js';

const servers = [
  { urls: ['stun:stun.example.com', 'stun:[2001:db8::1]:3479'] },
  {
    urls: [
      'turn:t.example.com?transport=udp',
      'turn:t.example.com:3480?transport=tcp',
      'turns:t.example.com:443?transport=tcp',
    ],
    username: 'user',
    credential: 'secret',
  },
  { urls: ['http://nonsense', 'turn:', 'stun:a:b', ''] },
];

describe('ICE servers', () => {
  test('STUN servers are found by name and by address, and nonsense is passed over', () => {
    expect(stunServers(servers)).toEqual([
      { hostname: 'stun.example.com', port: 3478 },
      { hostname: '2001:db8::1', port: 3479 },
    ]);
  });

  test('TURN servers are known with what carries them', () => {
    expect(turnServers(servers).map(({ port, transport }) => [port, transport])).toEqual([
      [3478, 'udp'],
      [3480, 'tcp'],
      [443, 'tls'],
    ]);
  });
});

describe('candidates', () => {
  const candidates = {
    v4: 'candidate:1 1 udp 2130706431 192.0.2.1 7882 typ host',
    tcp: 'candidate:5 1 tcp 1671430143 192.0.2.1 7881 typ host tcptype passive',
  };

  test('are read with and without a=', () => {
    const address = { address: '192.0.2.1', port: 7882, protocol: 'udp', type: 'host', tcpType: undefined };
    const read = { ...address, foundation: '1', priority: 2_130_706_431 };
    expect(candidateAddress(candidates.v4)).toEqual(read);
    expect(candidateAddress(`a=${candidates.v4}`)).toEqual(read);
    expect(candidateAddress(hostCandidate({ address: '192.0.2.1', port: 7882 }, 3))).toMatchObject(address);
  });

  test('say how they connect over TCP', () => {
    expect(candidateAddress(candidates.tcp)).toMatchObject({ protocol: 'tcp', tcpType: 'passive' });
    const ours = hostCandidate({ address: '192.0.2.1', port: 7882 }, 0, 'tcp');
    expect(candidateAddress(ours)).toMatchObject({ protocol: 'tcp', tcpType: 'passive' });
  });

  test.each([
    'candidate:1 1 udp 2130706431 4f1d.local 7882 typ host',
    'candidate:1 1 udp 2130706431 example.com 7882 typ host',
    'candidate:1 1 udp 2130706431 999.1.1.1 7882 typ host',
    'candidate:1 1 udp 2130706431 192.0.2.1 65536 typ host',
  ])('are refused without a usable address: %s', (line) => {
    expect(candidateAddress(line)).toBeUndefined();
  });

  test('any text is read or refused, never an exception', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(9), (text, at) => {
        const fields = candidates.v4.split(' ');
        fields[at] = text;
        candidateAddress(text);
        const read = candidateAddress(fields.join(' '));
        if (read) expect(read.port).toBeLessThanOrEqual(65_535);
      }),
    );
  });
});
