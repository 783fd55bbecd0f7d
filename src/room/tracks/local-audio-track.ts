import type { AudioSender, AudioSenderStats, AudioSource } from '../../audio/index.js';
import { LocalTrack } from './local-track.js';

/** An audio source to publish. */
export class LocalAudioTrack extends LocalTrack<AudioSource, AudioSender, AudioSenderStats> {}
