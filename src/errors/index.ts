export {
  checkBytes,
  checkFlag,
  checkFunction,
  checkInstance,
  checkInteger,
  checkJson,
  checkList,
  checkName,
  checkNumberFrom,
  checkObject,
  checkOneOf,
  checkOptions,
  checkSignal,
  checkText,
  checkTextRecord,
  checkTexts,
  refuse,
} from './check.js';
export {
  describeError,
  type ErrorCode,
  errorCodes,
  OffhookError,
  type OffhookErrorDetails,
} from './errors.js';
export { outsideText, withoutTokens } from './outside-text.js';
export {
  type CallStage,
  type ConnectStage,
  connectStages,
  type FilterStage,
  type OperationStage,
  type Stage,
} from './stages.js';
