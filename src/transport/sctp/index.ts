export {
  SctpAssociation,
  type SctpAssociationOptions,
  type SctpCounters,
  type SctpState,
} from './association.js';
export { DataChannel, type DataChannelStats } from './data-channel.js';
export { DataChannels, type DataChannelsOptions } from './data-channels.js';
export type { DataChannelParameters } from './dcep.js';
export type { SendOptions } from './send-queue.js';
