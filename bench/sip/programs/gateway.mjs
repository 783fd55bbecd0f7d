import { SipGateway } from '../../../dist/sip/index.js';

/** How calls ended, and how many each way. */
const outcomes = {};
const gateway = await SipGateway.open({
  port: 0,
  room: { url: process.argv[2], apiKey: 'devkey', apiSecret: 'secret' },
  onCallEnded: ({ outcome }) => {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  },
  limits: { calls: { perSecond: 1_000, burst: 10_000 }, messages: { perSecond: 10_000, burst: 100_000 } },
});
const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
process.on('message', ({ what }) =>
  process.send(
    what === 'counts' ? { ...gateway.counts(), timers: timers(), outcomes } : { port: gateway.port },
  ),
);
process.on('SIGTERM', () => process.exit(0));
