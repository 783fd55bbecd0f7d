export { subjectOfToken } from './access-token.js';
export type { FirstAnswer } from './first-answer.js';
export { probeServer } from './probe/probe-server.js';
export type { ProbeOptions, ProbeStep } from './probe/probe-step.js';
export { isServerUrl } from './server-url.js';
export { SignalClient, type SignalOptions } from './signal-client.js';
