export type { FirstAnswer } from './first-answer.js';
export { SignalClient, type SignalOptions } from './signal-client.js';
