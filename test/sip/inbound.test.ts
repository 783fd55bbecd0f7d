import {
  SIPDispatchRule,
  SIPDispatchRuleDirect,
  SIPDispatchRuleInfo,
  SIPHeaderOptions,
  SIPInboundTrunkInfo,
} from '@livekit/protocol';
import { trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LogRecord, setLogSink } from '../../src/logging/index.js';
import { SipDirectory } from '../../src/sip/index.js';
import { type Agent, GatewayHouse } from './gateway-house.js';
import { plainSdp, RawPeer, requestOf } from './raw-peer.js';
import { until } from './until.js';

const second = { seconds: 1n };

/** A trunk for each thing that it can say about its calls; all lead to the room `line`. */
function directory(): SipDirectory {
  const made = new SipDirectory();
  made.addInbound(
    new SIPInboundTrunkInfo({
      numbers: ['1234'],
      headers: { 'X-Office': 'Berlin' },
      headersToAttributes: { 'X-Ticket': 'ticket' },
      attributesToHeaders: { team: 'X-Team', nothing: 'X-Nothing' },
      includeHeaders: SIPHeaderOptions.SIP_X_HEADERS,
    }),
  );
  made.addInbound(new SIPInboundTrunkInfo({ numbers: ['1001'], maxCallDuration: second as never }));
  made.addInbound(new SIPInboundTrunkInfo({ numbers: ['1002'], ringingTimeout: second as never }));
  const value = new SIPDispatchRuleDirect({ roomName: 'line' });
  const rule = new SIPDispatchRule({ rule: { case: 'dispatchRuleDirect', value } });
  made.addRule(new SIPDispatchRuleInfo({ rule, attributes: { team: 'blue' } }));
  return made;
}

describe('a call that comes in', () => {
  let house: GatewayHouse;
  let peer: RawPeer;
  let agent: Agent;
  let exporter: InMemorySpanExporter;
  const logs: LogRecord[] = [];

  beforeEach(async () => {
    exporter = new InMemorySpanExporter();
    trace.setGlobalTracerProvider(
      new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
    );
    setLogSink((record) => logs.push(record));
    house = await GatewayHouse.open({ directory: directory() });
    peer = await RawPeer.open(house.gateway.port);
    agent = await house.agent('line');
  });
  afterEach(async () => {
    peer.close();
    await house.close();
    setLogSink(() => {});
    logs.length = 0;
    trace.disable();
  });

  const to = (number: string, message: string) => message.replaceAll('sip:1234@', `sip:${number}@`);
  /** Within the dialog of the call that `final` answered. */
  const inDialog = (
    method: string,
    callId: string,
    tag: string,
    sequence: number,
    ...rest: [string[]?, string?]
  ) =>
    requestOf(peer, method, callId, ...rest)
      .replace('To: <sip:1234@127.0.0.1>', `To: <sip:1234@127.0.0.1>;tag=${tag}`)
      .replace(`CSeq: 1 ${method}`, `CSeq: ${sequence} ${method}`)
      .replace(`branch=z9hG4bK${callId}`, `branch=z9hG4bK${callId}${sequence}${method}`);

  async function talk(callId: string, headers: string[] = []) {
    peer.send(requestOf(peer, 'INVITE', callId, headers, plainSdp));
    await until(() => agent.attributes()['sip.callStatus'] === 'ringing', 'it rings');
    await agent.speak(1_000);
    const answer = await peer.final(callId, 'INVITE');
    expect(answer.status).toBe(200);
    const tag = answer.to.params.get('tag')!;
    peer.send(inDialog('ACK', callId, tag, 1));
    await until(() => agent.attributes()['sip.callStatus'] === 'active', 'it is active');
    return { answer, tag };
  }

  test('brings headers to the room as attributes, and attributes back as headers', async () => {
    const { answer } = await talk('headers', ['X-Ticket: 77', 'Subject: private']);
    expect(agent.attributes()).toMatchObject({ ticket: '77', 'sip.h.x-ticket': '77', team: 'blue' });
    expect(agent.attributes()).not.toHaveProperty('sip.h.subject');
    const { headers } = answer;
    expect([headers.get('X-Office'), headers.get('X-Team'), headers.get('X-Nothing')]).toEqual([
      'Berlin',
      'blue',
      undefined,
    ]);
  });

  test('says in its participant how it does, to its end, and leaves its steps in record, log and spans', async () => {
    const { tag } = await talk('steps');
    peer.send(inDialog('BYE', 'steps', tag, 2));
    await until(() => house.records.length === 1, 'the call is over');
    await until(() => agent.room.remoteParticipants.size === 0, 'the telephone has left');
    const statuses = agent.events.flatMap((event) =>
      event.type === 'participantAttributesChanged' ? [event.changedAttributes['sip.callStatus']] : [],
    );
    expect(statuses).toEqual(['active', 'hangup']);
    const steps = ['sip-invite', 'sip-room', 'sip-audio', 'sip-answer', 'sip-call'];
    const [record] = house.records;
    expect(record!.timeline.spans.map(({ stage, outcome }) => [stage, outcome])).toEqual(
      steps.map((stage) => [stage, 'ok']),
    );
    const spans = exporter.getFinishedSpans().map(({ name }) => name);
    expect(spans.filter((name) => name.startsWith('offhook.sip-'))).toEqual(
      steps.map((stage) => `offhook.${stage}`),
    );
    const answered = logs.find(({ message }) => message.includes(': answered: '))!.message;
    for (const step of ['invite', 'room', 'audio', 'answer'])
      expect(answered).toMatch(new RegExp(`${step} \\d`));
    expect(record!.ladder.map(({ direction, summary }) => `${direction} ${summary}`)).toEqual([
      'in INVITE',
      'out 100 Trying (INVITE)',
      'out 180 Ringing (INVITE)',
      'out 200 OK (INVITE)',
      'in ACK',
      'in BYE',
      'out 200 OK (BYE)',
    ]);
  });

  test('whose agent comes and is not heard is refused when its trunk says', async () => {
    peer.send(to('1002', requestOf(peer, 'INVITE', 'silent', [], plainSdp)));
    const refused = await peer.final('silent');
    expect(refused.status).toBe(480);
    expect(refused.headers.get('Reason')).toBe('SIP;cause=480;text="The agent cannot be heard"');
  });

  test('is hung up on when the longest time of its trunk is over', async () => {
    await agent.speak(1_000);
    peer.send(to('1001', requestOf(peer, 'INVITE', 'long', [], plainSdp)));
    const answer = await peer.final('long', 'INVITE');
    peer.send(to('1001', inDialog('ACK', 'long', answer.to.params.get('tag')!, 1)));
    await until(() => peer.methods.includes('BYE'), 'the telephone is hung up on');
    await until(() => house.records.length === 1, 'the call is recorded');
    expect(house.records[0]!.outcome).toBe('the longest time for a call is over');
  });

  test('brings keys that an older telephone says by INFO', async () => {
    const { tag } = await talk('info');
    const body = 'Signal=5\r\nDuration=160\r\n';
    const info = inDialog('INFO', 'info', tag, 2, ['Content-Type: application/dtmf-relay'], body);
    peer.send(info.replace('Content-Type: application/sdp\r\n', ''));
    expect((await peer.final('info', 'INFO')).status).toBe(200);
    await until(() => agent.digits === '5', 'the agent is told of the key');
  });
});
