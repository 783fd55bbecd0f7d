import type * as Addon from 'node-datachannel';

export interface AudioTrackOptions {
  mid: string;
  direction: 'sendonly' | 'recvonly' | 'sendrecv';
  ssrc: number;
  cname: string;
  /** First part of `a=msid`. */
  streamId: string;
  /** Second part of `a=msid`; LiveKit matches it with AddTrackRequest.cid. */
  trackId: string;
  payloadTypes: { opus: number; red?: number };
  /** Parameters of `a=fmtp` for Opus (RFC 7587), e.g. `minptime=10;useinbandfec=1`. */
  opusParameters: string;
  extensions?: readonly { id: number; uri: string }[];
}

const addonDirection = { sendonly: 'SendOnly', recvonly: 'RecvOnly', sendrecv: 'SendRecv' } as const;

export function audioSection({ Audio }: typeof Addon, options: AudioTrackOptions): Addon.Audio {
  const media = new Audio(options.mid, addonDirection[options.direction]);
  const { opus, red } = options.payloadTypes;
  // The order of payload types is the order of preference: RED first where it is wanted.
  if (red !== undefined) media.addAudioCodec(red, 'red/48000/2', `${opus}/${opus}`);
  media.addAudioCodec(opus, 'opus/48000/2', options.opusParameters);
  for (const { id, uri } of options.extensions ?? []) media.parseSdpLine(`a=extmap:${id} ${uri}`);
  media.addSSRC(options.ssrc, options.cname, options.streamId, options.trackId);
  return media;
}
