import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SIPDispatchRule, SIPDispatchRuleDirect, SIPDispatchRuleInfo } from '@livekit/protocol';
import { SipClient } from 'livekit-server-sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SipDirectory, softphoneTrunkId } from '../../src/sip/index.js';
import { Baresip } from '../support/baresip.js';
import { describeWith } from '../support/parts.js';
import { dominantFrequencyHz, makeTone } from '../support/tone.js';
import { type Agent, devKeys, GatewayHouse } from './gateway-house.js';
import { until } from './until.js';

function rule(roomName: string, pin = ''): SipDirectory {
  const directory = new SipDirectory();
  const value = new SIPDispatchRuleDirect({ roomName, pin });
  directory.addRule(
    new SIPDispatchRuleInfo({ rule: new SIPDispatchRule({ rule: { case: 'dispatchRuleDirect', value } }) }),
  );
  return directory;
}

const phoneTone = makeTone(440, 20_000, 8_000, -12);

function hears(agent: Agent, hz: number): boolean {
  const samples = Int16Array.from(agent.heard.slice(-8_000));
  return samples.length > 0 && Math.abs(dominantFrequencyHz({ samples, sampleRate: 16_000 }) - hz) <= 5;
}

describeWith(['baresip'], 'telephones', () => {
  let house: GatewayHouse;
  let tls = '';
  let agent: Agent;

  beforeAll(async () => {
    tls = mkdtempSync(join(tmpdir(), 'offhook-sip-tls-'));
    const made = spawnSync('openssl', [
      ...[
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
      ],
      ...['-keyout', join(tls, 'key.pem'), '-out', join(tls, 'cert.pem'), '-subj', '/CN=127.0.0.1'],
      ...['-addext', 'subjectAltName=IP:127.0.0.1'],
    ]);
    expect(made.status).toBe(0);
    house = await GatewayHouse.open({
      directory: rule('line'),
      tls: { port: 0, cert: readFileSync(join(tls, 'cert.pem')), key: readFileSync(join(tls, 'key.pem')) },
    });
    agent = await house.agent('line');
    await agent.speak(1_000);
  });
  afterAll(async () => {
    await house.close();
    rmSync(tls, { recursive: true, force: true });
  });

  test('over TLS media is encrypted with keys from the description', async () => {
    const phone = await Baresip.start({
      account: 'sip:alice@127.0.0.1',
      says: phoneTone,
      codecs: 'pcmu',
      transport: 'tls',
      mediaEncryption: 'srtp-mand',
      caFile: join(tls, 'cert.pem'),
    });
    try {
      agent.heard.length = 0;
      phone.dial(`sip:1234@127.0.0.1:${house.gateway.tlsPort};transport=tls`);
      await until(() => phone.log.includes('200 OK'), 'the call is answered');
      expect(phone.log).toContain('a=crypto:');
      await until(() => hears(agent, 440), 'the agent hears the phone');
      phone.hangUp();
      await house.quiet();
    } finally {
      await phone.stop();
    }
  });

  test('keys that are pressed reach the room', async () => {
    const phone = await Baresip.start({ account: 'sip:alice@127.0.0.1', says: phoneTone, codecs: 'pcmu' });
    try {
      phone.dial(`sip:1234@127.0.0.1:${house.gateway.port}`);
      await until(() => phone.log.includes('200 OK'), 'the call is answered');
      agent.digits = '';
      for (const digit of '42#') {
        phone.press(digit);
        await until(() => agent.digits.endsWith(digit), `the agent is told of ${digit}`);
      }
      expect(agent.digits).toBe('42#');
      phone.hangUp();
      await house.quiet();
    } finally {
      await phone.stop();
    }
  });

  test('a softphone that has logged in can be called', async () => {
    const phone = await Baresip.start({
      account: `sip:bob@127.0.0.1:${house.gateway.port}`,
      says: phoneTone,
      codecs: 'pcmu',
      registers: true,
      answers: true,
    });
    try {
      await until(() => /200 OK[\s\S]*REGISTER/.test(phone.log), 'the softphone has logged in');
      agent.heard.length = 0;
      const client = new SipClient(
        house.server.url.replace('ws:', 'http:'),
        devKeys.apiKey,
        devKeys.apiSecret,
      );
      await client.createSipParticipant(softphoneTrunkId, 'bob', 'line', { waitUntilAnswered: true });
      await until(() => hears(agent, 440), 'the agent hears the phone');
      phone.hangUp();
      await house.quiet();
    } finally {
      await phone.stop();
    }
  });
});

describeWith(['baresip'], 'a room behind a PIN', () => {
  let house: GatewayHouse;
  beforeAll(async () => {
    house = await GatewayHouse.open({ directory: rule('vault', '1234') });
  });
  afterAll(() => house.close());

  test('is entered with the right one', async () => {
    const agent = await house.agent('vault');
    await agent.speak(1_000);
    const phone = await Baresip.start({ account: 'sip:alice@127.0.0.1', says: phoneTone, codecs: 'pcmu' });
    try {
      phone.dial(`sip:1234@127.0.0.1:${house.gateway.port}`);
      await until(() => phone.log.includes('200 OK'), 'the call is answered to ask for the PIN');
      expect(agent.room.remoteParticipants.size).toBe(0);
      for (const digit of '1234#') {
        phone.press(digit);
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      await until(() => agent.attributes()['sip.callStatus'] === 'active', 'the caller is in the room');
      await until(() => hears(agent, 440), 'the agent hears the phone');
      phone.hangUp();
      await house.quiet();
    } finally {
      await phone.stop();
    }
  });

  test('is not entered by guessing: after three the call is hung up on', async () => {
    const phone = await Baresip.start({ account: 'sip:alice@127.0.0.1', says: phoneTone, codecs: 'pcmu' });
    try {
      phone.dial(`sip:1234@127.0.0.1:${house.gateway.port}`);
      await until(() => phone.log.includes('200 OK'), 'the call is answered to ask for the PIN');
      for (let attempt = 0; attempt < 3; attempt++) {
        for (const digit of '99#') {
          phone.press(digit);
          await new Promise((resolve) => setTimeout(resolve, 250));
        }
        await new Promise((resolve) => setTimeout(resolve, 1_100));
      }
      await house.quiet();
      expect(house.records.at(-1)?.room ?? '').toBe('');
    } finally {
      await phone.stop();
    }
  });
});
