import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Headers } from '../../src/sip/message/index.js';
import { endsWith } from './called-phone.js';
import { CallingPhone } from './calling-phone.js';
import { GatewayHouse } from './gateway-house.js';
import { plainSdp, RawPeer, requestOf } from './raw-peer.js';
import { until } from './until.js';
import { ToneWorker } from './worker.js';

describe('early media', () => {
  let house: GatewayHouse;
  let worker: ToneWorker;
  let phone: CallingPhone;

  beforeAll(async () => {
    house = await GatewayHouse.open({ earlyMedia: true, times: { agentMs: 2_000 } });
    worker = await ToneWorker.start(house.server);
    phone = await CallingPhone.open();
  });
  afterEach(async () => {
    phone.hangUp();
    await house.quiet();
  });
  afterAll(async () => {
    await worker.stop();
    await phone.close();
    await house.close();
  });

  const dial = (headers?: Headers) => phone.dial(`sip:1234@127.0.0.1:${house.gateway.port}`, headers);

  test.each([
    ['a caller', new Headers()],
    ['a caller that acknowledges what comes before the answer', Headers.of({ Require: '100rel' })],
  ])('%s hears ringing from us, and the agent once it is answered', async (_who, headers) => {
    worker.speaks = false;
    await dial(headers);
    await until(() => endsWith(phone.heard, 8_000, 425), 'the caller hears it ring');
    expect(phone.rang?.status).toBe(183);
    expect(phone.session).toBeUndefined();
    await until(() => phone.failed === 480, 'nobody answers');
    worker.speaks = true;
    await dial(headers);
    await until(() => phone.session !== undefined, 'the call is answered');
    await until(() => endsWith(phone.heard, 8_000, 1_000), 'the caller hears the agent');
  });

  test('is acknowledged before the answer comes, where the caller acknowledges it', async () => {
    worker.speaks = true;
    const peer = await RawPeer.open(house.gateway.port);
    try {
      peer.send(requestOf(peer, 'INVITE', 'prack', ['Require: 100rel'], plainSdp));
      const progress = () => peer.responses('prack').filter(({ status }) => status === 183);
      await until(
        () => progress().length === 3,
        'what was not acknowledged is repeated, after 0.5 and after 1.5 s',
      );
      expect(peer.responses('prack').every(({ status }) => status < 200)).toBe(true);
      const { to, headers } = progress()[0]!;
      const prack = requestOf(peer, 'PRACK', 'prack', [`RAck: ${headers.get('RSeq')} 1 INVITE`])
        .replace('To: <sip:1234@127.0.0.1>', `To: <sip:1234@127.0.0.1>;tag=${to.params.get('tag')}`)
        .replace('CSeq: 1 PRACK', 'CSeq: 2 PRACK');
      peer.send(prack);
      expect((await peer.final('prack', 'INVITE')).status).toBe(200);
      const finals = peer.responses('prack').filter(({ status }) => status >= 200);
      expect(finals.map(({ cseq }) => cseq.method).slice(0, 2)).toEqual(['PRACK', 'INVITE']);
      for (const call of [...house.gateway.calls.values()]) call.end('test is over');
    } finally {
      peer.close();
    }
  });

  test('of a call that is cancelled leaves nothing behind', async () => {
    worker.speaks = false;
    const call = await dial();
    await until(() => phone.heard.length > 800, 'the caller hears it ring');
    call.cancel();
    await until(() => phone.failed === 487, 'the call is cancelled');
  });
});
