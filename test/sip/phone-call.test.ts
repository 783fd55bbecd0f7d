import { SIPDispatchRule, SIPDispatchRuleDirect, SIPDispatchRuleInfo } from '@livekit/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SipDirectory } from '../../src/sip/index.js';
import { Baresip } from '../support/baresip.js';
import { describeWith } from '../support/parts.js';
import { audiblePart, dominantFrequencyHz, levelDbfs, makeTone, type Pcm, pieces } from '../support/tone.js';
import { GatewayHouse } from './gateway-house.js';
import { until } from './until.js';

/** Every call leads to the room `line`. */
function oneLine(): SipDirectory {
  const directory = new SipDirectory();
  const value = new SIPDispatchRuleDirect({ roomName: 'line' });
  const rule = new SIPDispatchRule({ rule: { case: 'dispatchRuleDirect', value } });
  directory.addRule(new SIPDispatchRuleInfo({ rule }));
  return directory;
}

const phoneHz = 440;
const agentHz = 1_000;
const saidDbfs = -12;

/**
 * The last two seconds are the tone, at its level. On a busy machine telephone, gateway and agent are held up for a moment
 * each, and single pieces are made up or missing: seven in ten must be right, which no wrong codec, level or frequency is.
 */
function expectTone({ samples, sampleRate }: Pcm, hz: number): void {
  const last = { samples: samples.subarray(-2 * sampleRate), sampleRate };
  expect(Math.abs(dominantFrequencyHz(last) - hz)).toBeLessThanOrEqual(5);
  const levels = [...pieces(last, 50)].map(levelDbfs);
  const right = levels.filter((level) => Math.abs(level - saidDbfs) < 2);
  expect(right.length / levels.length, `levels: ${levels.map(Math.round)}`).toBeGreaterThan(0.7);
}

describeWith(['baresip'], 'a telephone calls', () => {
  let house: GatewayHouse;

  beforeAll(async () => {
    house = await GatewayHouse.open({ directory: oneLine() });
  });
  afterAll(() => house.close());

  test.each([
    ['PCMU', 'pcmu', 8_000],
    ['PCMA', 'pcma', 8_000],
    ['G.722', 'g722', 16_000],
    ['Opus', 'opus', 48_000],
  ])(
    'rings until the agent can be heard, then both hear each other whole: %s',
    async (_name, codecs, sampleRate) => {
      const agent = await house.agent('line');
      const phone = await Baresip.start({
        account: 'sip:alice@127.0.0.1',
        says: makeTone(phoneHz, 20_000, sampleRate, saidDbfs),
        codecs,
      });
      try {
        phone.dial(`sip:1234@127.0.0.1:${house.gateway.port}`);
        await until(() => phone.log.includes('180 Ringing'), 'the phone rings');
        await until(() => agent.attributes()['sip.callStatus'] === 'ringing', 'the agent sees the caller');
        expect(phone.log).not.toContain('200 OK');
        await agent.speak(agentHz, saidDbfs);
        await until(() => phone.log.includes('200 OK'), 'the call is answered');
        await until(() => agent.attributes()['sip.callStatus'] === 'active', 'the caller is active');
        expect(agent.attributes()).toMatchObject({
          'sip.phoneNumber': 'alice',
          'sip.trunkPhoneNumber': '1234',
          'sip.callID': expect.stringMatching(/^SCL_/),
        });
        await until(() => agent.heard.length > 16_000 * 4, 'the agent has heard the phone for a while');
        expectTone(agent.recording(), phoneHz);
        phone.hangUp();
        await house.quiet();
        await until(() => phone.log.includes('terminated'), 'the phone has hung up');
        const heard = audiblePart(phone.heard());
        expect(heard.samples.length / heard.sampleRate).toBeGreaterThan(2);
        expectTone(heard, agentHz);
      } finally {
        await phone.stop();
        await agent.leave();
      }
    },
  );
});
