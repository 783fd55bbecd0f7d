export { type CallRecord, ladderPicture } from './gateway/call-log.js';
export { loadDirectory, type ProviderRegistration, SipDirectory, type SipFile } from './gateway/directory.js';
export { SipGateway, type SipGatewayOptions, softphoneTrunkId } from './gateway/gateway.js';
export { sipService } from './gateway/sip-service.js';
