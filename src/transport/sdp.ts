import { parse } from 'sdp-transform';
import { OffhookError } from '../timeline/index.js';

export interface SdpCodec {
  payloadType: number;
  /** Encoding name in lower case: `opus`, `red`, `vp8`, … */
  name: string;
  clockRate: number;
  channels: number;
  /** Text of `a=fmtp`, empty without one. */
  parameters: string;
}

export interface SdpMedia {
  mid: string;
  kind: 'audio' | 'video' | 'application';
  direction: 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
  /** The two parts of `a=msid` (RFC 8830), where present. */
  streamId?: string;
  trackId?: string;
  codecs: SdpCodec[];
  /** `a=extmap` by URI. */
  extensions: Map<string, number>;
  /** SSRCs in the order in which they appear. */
  ssrcs: number[];
}

/**
 * What the engine needs to know of a session description, per media section.
 *
 * @throws OffhookError `OFFHOOK_PROTOCOL` when it is not SDP.
 */
export function parseSdp(sdp: string): SdpMedia[] {
  try {
    const sections = sdp.split(/^m=/m).slice(1);
    return parse(sdp).media.map((media, index) => {
      // LiveKit's stream ids have a `|` in them, which the parser's grammar does not allow.
      const [, streamId, trackId] = /^a=msid:(\S+)(?: (\S+))?/m.exec(sections[index] ?? '') ?? [];
      return {
        mid: String(media.mid ?? ''),
        kind: media.type as SdpMedia['kind'],
        direction: media.direction ?? 'sendrecv',
        ...(streamId ? { streamId } : {}),
        ...(trackId ? { trackId } : {}),
        codecs: (media.rtp ?? []).map(({ payload, codec, rate, encoding }) => ({
          payloadType: payload,
          name: codec.toLowerCase(),
          clockRate: rate ?? 0,
          channels: encoding ?? 1,
          parameters: media.fmtp?.find((fmtp) => fmtp.payload === payload)?.config ?? '',
        })),
        extensions: new Map((media.ext ?? []).map(({ uri, value }) => [uri, value])),
        ssrcs: [...new Set((media.ssrcs ?? []).map(({ id }) => Number(id)))],
      };
    });
  } catch (cause) {
    throw new OffhookError('OFFHOOK_PROTOCOL', 'the session description cannot be parsed', { cause });
  }
}
