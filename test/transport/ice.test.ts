import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addonIceServers, hostCandidate, turnServers } from '../../src/transport/ice.js';
import { candidateAddress, candidateLikelihood } from '../../src/transport/index.js';
import {
  candidatesIn,
  isIceLite,
  readIceCredentials,
  withIceCredentials,
} from '../../src/transport/sdp-ice.js';

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
  test('the addon gets STUN, and TURN over UDP', () => {
    expect(addonIceServers(servers)).toEqual([
      { hostname: 'stun.example.com', port: 3478 },
      { hostname: '2001:db8::1', port: 3479 },
      { hostname: 't.example.com', port: 3478, username: 'user', password: 'secret', relayType: 'TurnUdp' },
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
    v6: 'candidate:2 1 udp 2130706430 2001:db8::1 7882 typ host generation 0',
    reflexive: 'candidate:3 1 UDP 1694498815 198.51.100.1 7882 typ srflx raddr 0.0.0.0 rport 0',
    relay: 'candidate:4 1 udp 1694498 198.51.100.2 3000 typ relay raddr 0.0.0.0 rport 0',
    tcp: 'candidate:5 1 tcp 1671430143 192.0.2.1 7881 typ host tcptype passive',
  };

  test('are tried in the order in which they are likely to work', () => {
    const { v4, v6, reflexive, relay, tcp } = candidates;
    const sorted = [tcp, relay, reflexive, v6, v4].sort(
      (a, b) => candidateLikelihood(b) - candidateLikelihood(a),
    );
    expect(sorted).toEqual([v4, v6, reflexive, relay, tcp]);
  });

  test('are read with and without a=', () => {
    const read = { address: '192.0.2.1', port: 7882, protocol: 'udp', type: 'host' };
    expect(candidateAddress(candidates.v4)).toEqual(read);
    expect(candidateAddress(`a=${candidates.v4}`)).toEqual(read);
    expect(candidateAddress(hostCandidate({ address: '192.0.2.1', port: 7882 }, 3))).toEqual(read);
  });

  test('any text is read or refused, never an exception', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(9), (text, at) => {
        const fields = candidates.v4.split(' ');
        fields[at] = text;
        candidateLikelihood(text);
        const read = candidateAddress(fields.join(' '));
        if (read) expect(read.port).toBeLessThanOrEqual(65_535);
      }),
    );
  });
});

describe('ICE in descriptions', () => {
  const sdp = [
    'v=0',
    'a=ice-lite',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'a=ice-ufrag:abcd',
    'a=ice-pwd:efgh',
    'a=candidate:1 1 udp 1 192.0.2.1 1 typ host',
    'a=end-of-candidates',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'a=ice-ufrag:abcd',
    'a=ice-pwd:efgh',
    'a=candidate:1 1 udp 1 192.0.2.1 1 typ host',
    '',
  ].join('\r\n');

  test('credentials are read, and replaced in every section with what belongs to them', () => {
    expect(readIceCredentials(sdp)).toEqual({ ufrag: 'abcd', pwd: 'efgh' });
    const changed = withIceCredentials(sdp, { ufrag: 'new/+1', pwd: 'new/+2' });
    expect(readIceCredentials(changed)).toEqual({ ufrag: 'new/+1', pwd: 'new/+2' });
    expect(changed).not.toMatch(/abcd|efgh|candidate/);
    expect(changed.split('\r\n')).toHaveLength(sdp.split('\r\n').length - 3);
  });

  test('candidates are found once each, and a lite agent is known', () => {
    expect(candidatesIn(sdp)).toEqual(['candidate:1 1 udp 1 192.0.2.1 1 typ host']);
    expect(isIceLite(sdp)).toBe(true);
    expect(isIceLite(sdp.replace('a=ice-lite', 'a=ice-options:trickle'))).toBe(false);
    expect(readIceCredentials('v=0')).toBeUndefined();
  });
});
