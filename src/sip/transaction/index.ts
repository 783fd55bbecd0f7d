export { type ClientTransaction, cancelOf, describeRequest } from './client-transaction.js';
export type { ServerTransaction } from './server-transaction.js';
export { Retransmission, timers } from './timers.js';
export { Transactions } from './transactions.js';
