import { getServers, setServers } from 'node:dns';
import { SIPTransport } from '@livekit/protocol';
import { SipClient } from 'livekit-server-sdk';
import { afterEach, describe, expect, test } from 'vitest';
import { ProviderLogin } from '../../src/sip/gateway/provider-login.js';
import { parseUri, type SipUri } from '../../src/sip/message/index.js';
import { resolveTarget } from '../../src/sip/transport/index.js';
import { describeWith } from '../support/parts.js';
import { CalledPhone, endsWith } from './called-phone.js';
import { CallingPhone } from './calling-phone.js';
import { devKeys, GatewayHouse } from './gateway-house.js';
import { Kamailio, provider } from './kamailio.js';
import { type SrvRecord, SrvServer } from './srv-server.js';
import { until } from './until.js';
import { ToneWorker } from './worker.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** This process asks a DNS server that knows these records alone. */
async function withRecords(records: Record<string, SrvRecord[]>): Promise<void> {
  const dns = await SrvServer.open(records);
  const before = getServers();
  setServers([dns.address]);
  closing.push(() => {
    setServers(before);
    dns.close();
  });
}

const record = (port: number, priority = 10, weight = 0): SrvRecord => ({
  ...{ priority, weight, port },
  target: 'localhost',
});

describe('where a domain is', () => {
  const targets = async (uri: string, protocol?: 'tls') =>
    (await resolveTarget(parseUri(uri) as SipUri, protocol))
      .filter(({ address }) => address === '127.0.0.1')
      .map((target) => `${target.protocol} ${target.port}`);

  test('is what its SRV records say, by priority and then by weight', async () => {
    await withRecords({ '_sip._udp.a.test': [record(5080, 20), record(5081, 10, 1), record(5082, 10, 9)] });
    expect(await targets('sip:a.test')).toEqual(['udp 5082', 'udp 5081', 'udp 5080']);
  });

  test('is asked for by the protocol that is named, and for TCP where there is no UDP', async () => {
    await withRecords({ '_sip._tcp.a.test': [record(5083)], '_sips._tcp.a.test': [record(5084)] });
    expect(await targets('sip:a.test')).toEqual(['tcp 5083']);
    expect(await targets('sip:a.test;transport=tls')).toEqual(['tls 5084']);
    expect(await targets('sip:a.test', 'tls')).toEqual(['tls 5084']);
  });

  test('is its address where it has no records, or a port is named', async () => {
    await withRecords({ '_sip._udp.a.test': [record(5085)] });
    expect(await targets('sip:localhost')).toEqual(['udp 5060']);
    expect(await targets('sip:localhost:5090')).toEqual(['udp 5090']);
    expect(await targets('sip:localhost;transport=tcp')).toEqual(['tcp 5060']);
  });
});

describeWith(['kamailio'], 'a provider', () => {
  test.each(['MD5', 'SHA-256'] as const)(
    'that asks for %s is logged in at where its SRV record says, and calls go through it both ways',
    async (algorithm) => {
      const kamailio = await Kamailio.startProvider(algorithm);
      closing.push(() => kamailio.stop());
      // The first is not there: what is tried next is.
      await withRecords({
        '_sip._udp.provider.test': [record(kamailio.port)],
        '_sip._tcp.provider.test': [record(1)],
      });
      const { domain, password } = provider;
      const house = await GatewayHouse.open({
        registrations: [{ registrar: `sip:${domain}`, username: 'office', password }],
      });
      closing.push(() => house.close());
      const worker = await ToneWorker.start(house.server);
      closing.push(() => worker.stop());
      await until(() => kamailio.log.includes('registers office 600'), 'the provider knows us');

      const caller = await CallingPhone.open();
      closing.push(() => caller.close());
      await caller.dial(`sip:office@127.0.0.1:${kamailio.port}`);
      await until(() => caller.session !== undefined, 'the call is answered');
      await until(() => endsWith(caller.heard, 8_000, 1_000), 'the caller hears the agent');
      caller.hangUp();
      await house.quiet();
      expect(kamailio.log).toContain('routed ACK');
      expect(kamailio.log).toContain('routed BYE');

      const phone = await CalledPhone.open();
      closing.push(() => phone.close());
      const login = new ProviderLogin(phone.endpoint, {
        registrar: `sip:${domain}`,
        username: 'bob',
        password,
      });
      closing.push(() => login.close());
      await until(() => login.isLoggedIn, 'the other telephone is logged in');
      phone.onCall = () => void phone.answer(['PCMU']);
      const client = new SipClient(
        house.server.url.replace('ws:', 'http:'),
        devKeys.apiKey,
        devKeys.apiSecret,
      );
      const { sipTrunkId } = await client.createSipOutboundTrunk('out', domain, ['office'], {
        transport: SIPTransport.SIP_TRANSPORT_AUTO,
        authUsername: 'office',
        authPassword: password,
      });
      await client.createSipParticipant(sipTrunkId, 'bob', 'room', { waitUntilAnswered: true });
      expect(kamailio.log).toContain('calls office');
      await until(() => endsWith(phone.heard, 8_000, 1_000), 'the phone hears the agent');
      const byes = () => kamailio.log.split('routed BYE').length;
      const before = byes();
      phone.session.bye();
      await house.quiet();
      await until(() => byes() === before + 1, 'the proxy has seen the end of the call');
    },
    60_000,
  );

  test('with the wrong password is not logged in at', async () => {
    const kamailio = await Kamailio.startProvider('MD5');
    closing.push(() => kamailio.stop());
    const phone = await CalledPhone.open();
    closing.push(() => phone.close());
    const answers: number[] = [];
    phone.endpoint.onTrace = ({ direction, message }) => {
      if (direction === 'in' && message.kind === 'response') answers.push(message.status);
    };
    const registrar = `sip:${provider.domain}:${kamailio.port}`.replace(provider.domain, '127.0.0.1');
    const login = new ProviderLogin(phone.endpoint, { registrar, username: 'bob', password: 'wrong' });
    closing.push(() => login.close());
    await until(() => answers.length >= 2, 'the credentials are refused');
    expect(answers.slice(0, 2)).toEqual([401, 401]);
    expect(login.isLoggedIn).toBe(false);
  });
});
