export {
  DtlsConnection,
  type DtlsOptions,
  type DtlsResult,
  type DtlsStats,
  type NegotiatedSrtp,
} from './connection.js';
export type { Role } from './key-schedule.js';
