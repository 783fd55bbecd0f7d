import { afterEach, expect, test } from 'vitest';
import { describeWith } from '../../support/parts.js';
import { type CertificateKind, OpensslPeer } from './openssl-peer.js';

describeWith(['openssl'], 'DTLS with openssl', () => {
  let peer: OpensslPeer;
  afterEach(() => peer.stop());

  const roles = ['client', 'server'] as const;
  const kinds: CertificateKind[] = ['ecdsa', 'rsa'];
  // A client names the curve of certificates there, too.
  const groups = ['X25519:P-256', 'P-256'];
  test.each(roles.flatMap((role) => kinds.flatMap((kind) => groups.map((group) => ({ role, kind, group })))))(
    'as $role, with its certificate of $kind and keys on $group, exports the same keys and carries data',
    async ({ role, kind, group }) => {
      peer = await new OpensslPeer(role).start(kind, ['-groups', group]);
      await peer.connected();
      expect(peer.ownExport).toBe(peer.exported);
      expect(peer.result!.srtp!.profile).toBe('AEAD_AES_128_GCM');
      peer.connection.send(Buffer.from('hello openssl\n'));
      await peer.until(() => peer.output.includes('hello openssl'));
      peer.type('hello offhook');
      await peer.until(() => peer.received.includes('hello offhook\n'));
      expect(peer.closed).toBeUndefined();
    },
  );

  test.each(roles)('as %s, takes part in a handshake of small datagrams', async (role) => {
    peer = await new OpensslPeer(role).start('rsa', ['-mtu', '256']);
    await peer.connected();
    expect(peer.ownExport).toBe(peer.exported);
  });

  test.each(roles)('as %s, agrees on AES-CM where the peer has nothing else', async (role) => {
    peer = await new OpensslPeer(role).start('ecdsa', ['-use_srtp', 'SRTP_AES128_CM_SHA1_80']);
    await peer.connected();
    const { profile, local, remote } = peer.result!.srtp!;
    expect(profile).toBe('AES_CM_128_HMAC_SHA1_80');
    const [client, server] = role === 'client' ? [local, remote] : [remote, local];
    const exported = Buffer.concat([client.key, server.key, client.salt, server.salt]);
    expect(exported.toString('hex')).toBe(peer.exported);
  });

  test.each(roles)('as %s, refuses a peer whose fingerprint is another one', async (role) => {
    peer = await new OpensslPeer(role).start('ecdsa', [], `sha-256 ${'00:'.repeat(31)}00`);
    await peer.until(() => peer.closed !== undefined);
    expect(peer.closed!.error).toMatchObject({ code: 'OFFHOOK_TRANSPORT', stage: 'dtls' });
    expect(peer.closed!.error!.message).toContain('certificate');
    expect(peer.result).toBeUndefined();
  });

  test('does not negotiate again when the server asks for it, and the connection goes on', async () => {
    peer = await new OpensslPeer('client').start('ecdsa');
    await peer.connected();
    peer.type('R');
    // What comes with the R would be a part of the command: openssl has taken it when it shows what came after it.
    peer.connection.send(Buffer.from('taken?\n'));
    await peer.until(() => peer.output.includes('taken?'));
    peer.type('still here');
    await peer.until(() => peer.received.includes('still here\n'));
    peer.connection.send(Buffer.from('here, too\n'));
    await peer.until(() => peer.output.includes('here, too'));
    expect(peer.output).toContain('SSL_do_handshake -> 1');
    expect(peer.closed).toBeUndefined();
  });

  test('refuses a client that wants to negotiate again', async () => {
    peer = await new OpensslPeer('server').start('ecdsa');
    await peer.connected();
    peer.type('R');
    // openssl gives up then, and says so.
    await peer.until(() => peer.closed !== undefined && peer.output.includes('no renegotiation'));
    expect(peer.closed!.error!.message).toContain('handshakeFailure');
  });

  test('closes when the peer does', async () => {
    peer = await new OpensslPeer('server').start('ecdsa');
    await peer.connected();
    peer.type('Q');
    await peer.until(() => peer.closed !== undefined);
    expect(peer.closed).toEqual({ error: undefined });
    expect(peer.connection.nextTimeoutMs).toBeUndefined();
  });

  test('tells the peer when it closes', async () => {
    peer = await new OpensslPeer('client').start('ecdsa');
    await peer.connected();
    peer.connection.close();
    await peer.until(() => peer.output.includes('DONE'));
    expect(peer.closed).toBeUndefined();
  });
});
