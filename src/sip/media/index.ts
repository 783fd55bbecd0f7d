export { decodeG711, encodeG711 } from './g711.js';
export { G722Decoder, G722Encoder } from './g722.js';
export type { Mixer, MixerInput } from './mixer.js';
export { type MediaEncryption, type NegotiatedMedia, Negotiation } from './negotiation.js';
export { PhoneMedia, type PhoneMediaStats } from './phone-media.js';
export type { PortRange } from './rtp-socket.js';
export { parseSdp } from './sdp.js';
export { codeOfDigit, type DtmfDigit, digitOfInfo } from './telephone-event.js';
export { playTone } from './tones.js';
