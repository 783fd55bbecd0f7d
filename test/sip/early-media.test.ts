import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CallSession, OutgoingCall, SipEndpoint } from '../../src/sip/call/index.js';
import { PhoneMedia } from '../../src/sip/media/index.js';
import { Headers, parseUri, type SipResponse, type SipUri } from '../../src/sip/message/index.js';
import { endsWith } from './called-phone.js';
import { GatewayHouse } from './gateway-house.js';
import { until } from './until.js';
import { ToneWorker } from './worker.js';

describe('early media', () => {
  let house: GatewayHouse;
  let worker: ToneWorker;
  let endpoint: SipEndpoint;
  let media: PhoneMedia;
  let session: CallSession | undefined;
  let heard: number[];
  let rang: SipResponse | undefined;
  let failed: number | undefined;

  beforeAll(async () => {
    house = await GatewayHouse.open({ earlyMedia: true, times: { agentMs: 1_500 } });
    worker = await ToneWorker.start(house.server);
    endpoint = await SipEndpoint.open({ host: '127.0.0.1', port: 0 });
  });
  beforeEach(async () => {
    heard = [];
    rang = undefined;
    session = undefined;
    failed = undefined;
    media = await PhoneMedia.open({
      bindAddress: '127.0.0.1',
      address: '127.0.0.1',
      codecs: ['PCMU'],
      onAudio: (samples) => {
        for (const sample of samples) heard.push(sample);
      },
      onDtmf: () => {},
    });
  });
  afterEach(async () => {
    session?.bye();
    media.close();
    await house.quiet();
  });
  afterAll(async () => {
    await worker.stop();
    await endpoint.close();
    await house.close();
  });

  function dial(headers = new Headers()): OutgoingCall {
    const uri = parseUri(`sip:1234@127.0.0.1:${house.gateway.port}`) as SipUri;
    return new OutgoingCall(
      endpoint,
      {
        target: uri,
        protocol: 'udp',
        from: { uri: parseUri('sip:caller@127.0.0.1')!, params: new Map() },
        to: { uri, params: new Map() },
        headers,
        offer: () => media.negotiation.offer(),
      },
      {
        onRinging: (response) => {
          rang = response;
          if (response.body.length > 0) media.accept(response.body);
        },
        onAnswered: (answered, response) => {
          session = answered;
          media.accept(response.body);
          media.start();
        },
        onFailed: (status) => {
          failed = status;
        },
      },
    );
  }

  test.each([
    ['a caller', new Headers()],
    ['a caller that acknowledges what comes before the answer', Headers.of({ Require: '100rel' })],
  ])('%s hears ringing from us, and the agent once it is answered', async (_who, headers) => {
    worker.speaks = false;
    dial(headers);
    await until(() => endsWith(heard, 8_000, 425), 'the caller hears it ring');
    expect(rang?.status).toBe(183);
    expect(session).toBeUndefined();
    await until(() => failed === 480, 'nobody answers');
    heard.length = 0;
    worker.speaks = true;
    dial(headers);
    await until(() => session !== undefined, 'the call is answered');
    await until(() => endsWith(heard, 8_000, 1_000), 'the caller hears the agent');
  });

  test('that is cancelled leaves nothing behind', async () => {
    worker.speaks = false;
    const call = dial();
    await until(() => heard.length > 800, 'the caller hears it ring');
    call.cancel();
    await until(() => failed === 487, 'the call is cancelled');
    await house.quiet();
  });
});
