import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addSipOptions, gatewayOptions, type SipCommandOptions } from '../../src/cli/sip-options.js';
import { loadDirectory } from '../../src/sip/gateway/directory.js';
import { SipDirectory } from '../../src/sip/index.js';
import { GatewayHouse } from './gateway-house.js';
import { plainSdp, RawPeer, requestOf } from './raw-peer.js';
import { until } from './until.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'offhook-sip-options-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A gateway's options as a command line gives them. */
function optionsOf(...args: string[]) {
  const command = addSipOptions(new Command().exitOverride());
  command.parse(args, { from: 'user' });
  return gatewayOptions(command.opts<SipCommandOptions>(), '127.0.0.1');
}

describe('the options of a gateway', () => {
  test('without any: loopback, and no user, trunk or TLS', () => {
    const { directory, ...options } = optionsOf();
    expect(options).toEqual({
      ...{ host: '127.0.0.1', port: 5060, users: new Map(), registrations: [] },
      ...{ times: { agentMs: 30_000 }, allowedDestinations: [], earlyMedia: false },
    });
    expect([directory!.inbound.size, directory!.outbound.size, directory!.rules.size]).toEqual([0, 0, 0]);
  });

  test('are those of the command line, and of the file', () => {
    const file = join(folder, 'sip.json');
    writeFileSync(file, JSON.stringify({ users: { alice: 'a', bob: 'b' } }));
    const options = optionsOf(
      ...['--sip-host', '0.0.0.0', '--sip-port', '5070', '--sip-external-address', '192.0.2.1'],
      ...['--sip-media-ports', '20000-20999', '--sip-agent-timeout', '2.5', '--sip-early-media'],
      ...['--sip-config', file, '--sip-user', 'bob:other', '--sip-user', 'carol:c:d'],
      ...['--sip-allow-calls-to', '+49', '--sip-allow-calls-to', '+43'],
    );
    expect(options).toMatchObject({
      ...{ host: '0.0.0.0', port: 5070, externalAddress: '192.0.2.1' },
      ...{ mediaPorts: { from: 20_000, to: 20_999 }, times: { agentMs: 2_500 }, earlyMedia: true },
      allowedDestinations: ['+49', '+43'],
    });
    expect([...options.users!]).toEqual([
      ['alice', 'a'],
      ['bob', 'other'],
      ['carol', 'c:d'],
    ]);
  });

  test.each([
    [['--sip-port', 'x'], '"x" is not a port'],
    [['--sip-user', 'alice'], '"alice" does not name a user and a password'],
    [['--sip-user', ':secret'], '":secret" does not name a user and a password'],
    [['--sip-media-ports', '20000'], '"20000" is not a range of ports'],
    [['--sip-media-ports', '1000-2000'], '"1000-2000" is not a range of ports'],
    [['--sip-media-ports', '20000-20002'], '"20000-20002" is not a range of ports'],
    [['--sip-agent-timeout', '0'], '"0" is not a time to wait'],
    [['--sip-tls-cert', 'cert.pem'], '--sip-tls-cert and --sip-tls-key belong together'],
    [['--sip-config', '/nowhere/sip.json'], '/nowhere/sip.json: cannot be read'],
  ])('%j are refused', (args, message) => {
    expect(() => optionsOf(...args)).toThrow(message);
  });

  test('ask for a page of each call, with its timeline and its messages', async () => {
    const { onCallEnded } = optionsOf('--sip-calls', folder);
    const house = await GatewayHouse.open({ onCallEnded: onCallEnded! });
    const peer = await RawPeer.open(house.gateway.port);
    try {
      peer.send(requestOf(peer, 'INVITE', 'paged', [], plainSdp));
      await until(() => peer.responses('paged').some(({ status }) => status === 180), 'it rings');
      peer.send(requestOf(peer, 'CANCEL', 'paged'));
      await until(() => readdirSync(folder).length === 2, 'the page is there');
      const [page, record] = readdirSync(folder)
        .sort()
        .map((name) => readFileSync(join(folder, name), 'utf8'));
      expect(
        readdirSync(folder)
          .sort()
          .map((name) => name.replace(/^SCL_\w+/, 'id')),
      ).toEqual(['id.html', 'id.json']);
      expect(page).toContain('Messages of the call');
      expect(page).toContain('487 Request Terminated');
      expect(JSON.parse(record!)).toMatchObject({
        direction: 'inbound',
        from: 'caller',
        outcome: 'the caller cancelled',
      });
    } finally {
      peer.close();
      await house.close();
    }
  });
});

describe('a file with trunks and rules', () => {
  const load = (content: unknown) => {
    const file = join(folder, 'sip.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    const directory = new SipDirectory();
    return { directory, ...loadDirectory(file, directory) };
  };

  test('as docs/sip.md shows it is taken, with its ids', () => {
    const docs = readFileSync(new URL('../../docs/sip.md', import.meta.url), 'utf8');
    const { directory, users, registrations } = load(/```json\n([\s\S]*?)```/.exec(docs)![1]);
    expect([...directory.inbound.keys(), ...directory.outbound.keys()]).toEqual(['ST_provider', 'ST_out']);
    expect([...directory.rules.values()][0]).toMatchObject({ trunkIds: ['ST_provider'] });
    expect([users.size, registrations.length]).toEqual([1, 1]);
  });

  test('may be empty, and may have the names of LiveKit’s own files', () => {
    expect(load({}).directory.inbound.size).toBe(0);
    const { directory } = load({ inboundTrunks: [{ sip_trunk_id: 'ST_a', numbers: ['1'] }] });
    expect([...directory.inbound.keys()]).toEqual(['ST_a']);
  });

  test.each<[unknown, string]>([
    ['{', 'cannot be read'],
    ['null', 'holds no object'],
    [[], 'holds no object'],
    [{ inboundtrunks: [] }, '"inboundtrunks" is none of inboundTrunks'],
    [{ inboundTrunks: {} }, '"inboundTrunks" is no list'],
    [{ inboundTrunks: [{ numbers: ['1'] }, { numbers: '1' }] }, 'inboundTrunks[1]: '],
    [{ inboundTrunks: [{ numbers: [] }] }, 'inboundTrunks[0]: '],
    [{ inboundTrunks: [{ number: ['1'] }] }, 'inboundTrunks[0]: '],
    [{ outboundTrunks: [{ numbers: ['1'] }] }, 'outboundTrunks[0]: no trunk address was given'],
    [{ dispatchRules: [{}] }, 'dispatchRules[0]: '],
    [{ registrations: [{ registrar: 'sip:a', username: 'b' }] }, 'registrations[0]: "password" is missing'],
    [{ registrations: [null] }, 'registrations[0]: "registrar" is missing'],
    [{ users: ['alice'] }, '"users" is no object'],
    [{ users: { alice: 1234 } }, 'the password of the user "alice" is no text'],
  ])('%j is refused', (content, message) => {
    expect(() => load(content)).toThrow(message);
  });
});
