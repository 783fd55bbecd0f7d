import {
  SIPDispatchRule,
  SIPDispatchRuleDirect,
  SIPDispatchRuleInfo,
  SIPInboundTrunkInfo,
  SIPMediaEncryption,
} from '@livekit/protocol';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { SipDirectory } from '../../src/sip/index.js';
import { generateCertificate } from '../../src/transport/index.js';
import { Baresip } from '../support/baresip.js';
import { Linphone } from '../support/linphone.js';
import { describeWith } from '../support/parts.js';
import {
  audiblePart,
  dominantFrequencyHz,
  findGaps,
  levelDbfs,
  makeTone,
  type Pcm,
  pieces,
} from '../support/tone.js';
import { type Agent, GatewayHouse } from './gateway-house.js';
import { until } from './until.js';

const phoneHz = 440;
const agentHz = 1_000;
const saidDbfs = -12;
/**
 * On a machine with nothing else to do every piece of a call must be right. Where others work too, telephone, gateway and
 * agent are held up for a moment each, and single pieces are made up or missing: seven in ten must be right then, which no
 * wrong codec, level or frequency is.
 */
const isQuietMachine = process.env.OFFHOOK_QUIET_MACHINE === '1';

type CodecName = 'pcmu' | 'pcma' | 'g722' | 'opus';
const codecRates: Record<CodecName, number> = { pcmu: 8_000, pcma: 8_000, g722: 16_000, opus: 48_000 };

interface TelephoneOptions {
  codec: CodecName;
  transport?: 'udp' | 'tcp' | 'tls';
  encrypts?: boolean;
}

/** A program that people use as a telephone. */
interface Telephone {
  log: string;
  dial(uri: string): void;
  hangUp(): void;
  press(digit: string): void;
  hold(): void;
  resume(): void;
  stop(): Promise<void>;
}

const telephones = {
  baresip: {
    start: ({ codec, transport = 'udp', encrypts }: TelephoneOptions): Promise<Baresip> =>
      Baresip.start({
        account: 'sip:bob@127.0.0.1',
        says: makeTone(phoneHz, 30_000, codecRates[codec], saidDbfs),
        codecs: codec,
        transport,
        ...(encrypts ? { mediaEncryption: 'srtp-mand' } : {}),
      }),
    recording: async (phone: Baresip): Promise<Pcm> => {
      await until(() => phone.log.includes('terminated'), 'the phone has hung up');
      return phone.heard();
    },
  },
  linphone: {
    start: async (options: TelephoneOptions): Promise<Linphone> => {
      const says = makeTone(phoneHz, 30_000, codecRates[options.codec], saidDbfs);
      return Linphone.start({ ...options, says });
    },
    recording: async (phone: Linphone): Promise<Pcm> => {
      await phone.quit();
      return phone.heard();
    },
  },
};
type TelephoneName = keyof typeof telephones;

/** Two seconds before the end, whose last piece the hanging up cuts off, are the tone, at its level, without a gap. */
function expectTone({ samples, sampleRate }: Pcm, hz: number, { dbfs = saidDbfs, withinDb = 1 } = {}): void {
  const last = { samples: samples.subarray(-2.1 * sampleRate, -0.1 * sampleRate), sampleRate };
  expect(last.samples.length).toBe(2 * sampleRate);
  expect(Math.abs(dominantFrequencyHz(last) - hz)).toBeLessThanOrEqual(5);
  const levels = [...pieces(last, 50)].map(levelDbfs);
  const right = levels.filter((level) => Math.abs(level - dbfs) < withinDb);
  const share = right.length / levels.length;
  expect(share, `levels: ${levels.map(Math.round)}`).toBeGreaterThanOrEqual(isQuietMachine ? 1 : 0.7);
  if (isQuietMachine) expect(findGaps(last)).toEqual([]);
}

/** What the codecs of some telephones do to a tone's level, on its way to the agent and to the telephone. */
function levels(name: TelephoneName, codec: CodecName): { toAgent: object; toPhone: object } {
  // Linphone's G.722 has half the amplitude of ITU's and everybody else's.
  if (name === 'linphone' && codec === 'g722')
    return { toAgent: { dbfs: saidDbfs - 6 }, toPhone: { dbfs: saidDbfs + 6 } };
  // Opus is coded twice on the way, at the bit rates of speech.
  if (codec === 'opus') return { toAgent: { withinDb: 3 }, toPhone: { withinDb: 3 } };
  return { toAgent: {}, toPhone: {} };
}

/** Every call leads to the room `line`; those to 7777 must be encrypted. */
function oneLine(): SipDirectory {
  const directory = new SipDirectory();
  const value = new SIPDispatchRuleDirect({ roomName: 'line' });
  const rule = new SIPDispatchRule({ rule: { case: 'dispatchRuleDirect', value } });
  directory.addRule(new SIPDispatchRuleInfo({ rule }));
  directory.addInbound(new SIPInboundTrunkInfo({ numbers: ['1234'] }));
  const mediaEncryption = SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE;
  directory.addInbound(new SIPInboundTrunkInfo({ numbers: ['7777'], mediaEncryption }));
  return directory;
}

function tlsCertificate(): { cert: string; key: string } {
  const { der, privateKey } = generateCertificate('localhost');
  const lines = der.toString('base64').match(/.{1,64}/g)!;
  const cert = ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

describeWith(['baresip', 'linphone'], 'a telephone calls', () => {
  let house: GatewayHouse;
  let agent: Agent;
  let phone: Telephone | undefined;

  beforeAll(async () => {
    house = await GatewayHouse.open({ directory: oneLine(), tls: { port: 0, ...tlsCertificate() } });
  });
  afterEach(async () => {
    await phone?.stop();
    await agent?.leave();
    await house.quiet();
  });
  afterAll(() => house.close());

  const isActive = () => agent.attributes()['sip.callStatus'] === 'active';
  const target = ({ transport = 'udp' }: Partial<TelephoneOptions>, number = '1234') => {
    const port = transport === 'tls' ? house.gateway.tlsPort : house.gateway.port;
    return `sip:${number}@127.0.0.1:${port}${transport === 'udp' ? '' : `;transport=${transport}`}`;
  };

  /** A call that has been answered. */
  async function talk(name: TelephoneName, options: TelephoneOptions, number?: string): Promise<void> {
    agent = await house.agent('line');
    phone = await telephones[name].start(options);
    phone.dial(target(options, number));
    await until(() => agent.attributes()['sip.callStatus'] === 'ringing', 'the agent sees the caller');
    await agent.speak(agentHz, saidDbfs);
    await until(isActive, 'the call is answered');
  }

  const hearsAnew = (seconds: number) => {
    agent.heard.length = 0;
    return until(() => agent.heard.length > 16_000 * seconds, 'the agent has heard the phone for a while');
  };

  test.each<[TelephoneName, TelephoneOptions]>([
    ['baresip', { codec: 'pcmu' }],
    ['baresip', { codec: 'pcma' }],
    ['baresip', { codec: 'g722' }],
    ['baresip', { codec: 'opus' }],
    ['linphone', { codec: 'pcmu' }],
    ['linphone', { codec: 'pcma' }],
    ['linphone', { codec: 'g722' }],
    ['linphone', { codec: 'opus' }],
    ['baresip', { codec: 'pcmu', transport: 'tcp' }],
    ['linphone', { codec: 'pcmu', transport: 'tcp' }],
  ])('%s, %j: rings until the agent can be heard, then both hear each other whole', async (name, options) => {
    await talk(name, options);
    expect(agent.attributes()).toMatchObject({
      'sip.phoneNumber': 'bob',
      'sip.trunkPhoneNumber': '1234',
      'sip.callID': expect.stringMatching(/^SCL_/),
    });
    await hearsAnew(4);
    const { toAgent, toPhone } = levels(name, options.codec);
    expectTone(agent.recording(), phoneHz, toAgent);
    phone!.hangUp();
    await house.quiet();
    expectTone(audiblePart(await telephones[name].recording(phone as never)), agentHz, toPhone);
  });

  test.each<[TelephoneName, CodecName]>([
    ['baresip', 'pcmu'],
    ['baresip', 'opus'],
    ['linphone', 'pcmu'],
    ['linphone', 'opus'],
  ])('%s over TLS with media encrypted, %s: both hear each other', async (name, codec) => {
    await talk(name, { codec, transport: 'tls', encrypts: true }, '7777');
    await hearsAnew(4);
    const { toAgent, toPhone } = levels(name, codec);
    expectTone(agent.recording(), phoneHz, toAgent);
    phone!.hangUp();
    await house.quiet();
    expectTone(audiblePart(await telephones[name].recording(phone as never)), agentHz, toPhone);
  });

  test('a telephone that does not encrypt is refused where that is required', async () => {
    phone = await telephones.baresip.start({ codec: 'pcmu' });
    const before = house.records.length;
    phone.dial(target({}, '7777'));
    await until(() => house.records.length > before, 'the call is over');
    expect(house.records.at(-1)!.outcome).toBe('488 No media encryption in common');
  });

  test.each<TelephoneName>(['baresip', 'linphone'])('%s: keys go both ways', async (name) => {
    await talk(name, { codec: 'pcmu' });
    await hearsAnew(0.5);
    phone!.press('5');
    await until(() => agent.digits === '5', 'the agent is told of the key');
    phone!.log = '';
    await agent.room.localParticipant.publishDtmf(7, '7');
    await until(() => /(?:tone|DTMF|event)\W+7/i.test(phone!.log), 'the phone is told of the key');
    phone!.hangUp();
  });

  test('baresip puts the call on hold and takes it off', async () => {
    await talk('baresip', { codec: 'pcmu' });
    await hearsAnew(0.5);
    phone!.hold();
    const loud = () => agent.heard.slice(-1_600).some((sample) => Math.abs(sample) > 3_000);
    await until(() => agent.heard.length > 1_600 && !loud(), 'the agent hears nothing');
    phone!.resume();
    await until(loud, 'the agent hears the phone again');
    phone!.hangUp();
  });

  test('linphone puts the call on hold, with its music, and takes it off', async () => {
    await talk('linphone', { codec: 'pcmu' });
    // Before that it ignores the command.
    await until(() => phone!.log.includes('Media streams established'), 'the phone talks');
    phone!.hold();
    await until(() => phone!.log.includes('paused'), 'the call is on hold');
    phone!.log = '';
    phone!.resume();
    await until(() => phone!.log.includes('Media streams established'), 'the call goes on');
    await hearsAnew(0.5);
    expect(isActive()).toBe(true);
    phone!.hangUp();
  });
});
