import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SipGateway } from '../../src/sip/index.js';
import { answerHere, RawPeer } from './raw-peer.js';
import { type TortureName, tortureMessages } from './torture-messages.js';

const callIds: Partial<Record<TortureName, string>> = {
  unksm2: 'unksm2.daksdj@hyphenated-host.example.com',
};

/** Requests of RFC 4475 to a gateway that listens, whose room server is not there: what comes back, section by section. */
describe('a gateway answers requests of RFC 4475', () => {
  let gateway: SipGateway;
  let peer: RawPeer;

  beforeAll(async () => {
    gateway = await SipGateway.open({
      port: 0,
      room: { url: 'ws://127.0.0.1:1', apiKey: 'key', apiSecret: 'secret' },
    });
    peer = await RawPeer.open(gateway.port);
  });
  afterAll(async () => {
    peer.close();
    await gateway.close();
  });

  async function answer(name: TortureName) {
    const bytes = answerHere(tortureMessages[name]);
    peer.send(bytes);
    const callId =
      callIds[name] ?? /^(?:call-id|i)\s*:\s*(\S+)/im.exec(bytes.toString())?.[1] ?? 'unreadable';
    return peer.final(callId);
  }

  test.each([
    ['badbranch', 200],
    ['unkscm', 416],
    ['novelsc', 416],
    ['bext01', 420],
    ['invut', 415],
    ['zeromf', 200],
    ['cparam01', 200],
    ['cparam02', 200],
    ['regescrt', 200],
    ['regaut01', 200],
    ['escnull', 200],
    ['dblreq', 200],
    ['unksm2', 400],
    ['insuf', 400],
    ['multi01', 400],
    ['mcl01', 400],
    ['esc02', 501],
    ['intmeth', 501],
    ['mpart01', 405],
    ['semiuri', 200],
    ['lwsdisp', 200],
  ] as const)('%s: %s', async (name, status) => {
    expect((await answer(name)).status).toBe(status);
  });

  test('bext01 is told which extensions are not supported', async () => {
    const response = await answer('bext01');
    expect(response.headers.get('Unsupported')).toBe('nothingSupportsThis, nothingSupportsThisEither');
  });

  test('cparam01: a parameter of the Contact is not one of its URI', async () => {
    const [contact] = (await answer('cparam01')).headers.list('Contact');
    expect(contact).toMatch(/^<sip:\+19725552222@gw1\.example\.net>;expires=\d+$/);
  });

  test('sdp01: a caller that understands no session description is told so', async () => {
    expect((await answer('sdp01')).status).toBe(406);
  });

  test.each(['esc01', 'longreq', 'transports', 'inv2543'] as const)(
    '%s: a valid request is taken up, not refused for how it is written',
    async (name) => {
      const { status, headers } = await answer(name);
      // There is no room server: a call gets no further than to it.
      if (name === 'transports') expect(status).toBe(200);
      else expect([status, headers.get('Reason')]).toEqual([503, expect.stringContaining('127.0.0.1:1')]);
    },
  );

  test('bcast and other responses to nothing get no answer', async () => {
    const before = peer.received.length;
    for (const name of ['bcast', 'unreason', 'noreason', 'bigcode', 'scalarlg'] as const)
      peer.send(tortureMessages[name]);
    // What comes back in order shows that nothing came in between.
    const bytes = answerHere(tortureMessages.zeromf)
      .toString()
      .replace('zeromf.', 'after-bcast.')
      .replace('z9hG4bK', 'z9hG4bK1');
    peer.send(bytes);
    await peer.final('after-bcast.jfasdlfnm2o2l43r5u0asdfas');
    expect(peer.received.length).toBe(before + 1);
  });
});
