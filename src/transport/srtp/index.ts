export { SrtpContext, type SrtpDropped } from './context.js';
export {
  type SrtpMasterKey,
  type SrtpProfile,
  type SrtpProfileParameters,
  srtpMaxOverheadBytes,
  srtpProfiles,
} from './profile.js';
