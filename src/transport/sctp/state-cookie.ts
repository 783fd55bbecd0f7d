import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { InitParameters } from './init-chunk.js';

const contentBytes = 29;
const macBytes = 32;
/** Valid.Cookie.Life of RFC 9260 section 16. */
const lifetimeMs = 60_000;

/** What an INIT said and which of our tags answered it. */
export interface CookieContent {
  localTag: number;
  peer: InitParameters;
}

/**
 * The state cookie of RFC 9260 section 5.1.3: what the peer's INIT said travels to the peer and back, authenticated,
 * so that nothing is kept for an INIT. A cookie is good for one association object.
 */
export class StateCookies {
  readonly #secret = randomBytes(32);

  seal({ localTag, peer }: CookieContent, nowMs: number): Buffer {
    const cookie = Buffer.alloc(contentBytes + macBytes);
    cookie.writeDoubleBE(nowMs, 0);
    cookie.writeUInt32BE(localTag, 8);
    cookie.writeUInt32BE(peer.tag, 12);
    cookie.writeUInt32BE(peer.windowBytes, 16);
    cookie.writeUInt16BE(peer.outboundStreams, 20);
    cookie.writeUInt16BE(peer.inboundStreams, 22);
    cookie.writeUInt32BE(peer.initialTsn, 24);
    cookie[28] = (peer.forwardTsn ? 1 : 0) | (peer.reconfig ? 2 : 0) | (peer.zeroChecksum ? 4 : 0);
    cookie.set(this.#mac(cookie), contentBytes);
    return cookie;
  }

  /** What is in an authentic cookie, and whether it is too old; undefined for any other bytes. */
  open(cookie: Buffer, nowMs: number): (CookieContent & { isStale: boolean }) | undefined {
    if (cookie.length !== contentBytes + macBytes) return undefined;
    if (!timingSafeEqual(this.#mac(cookie), cookie.subarray(contentBytes))) return undefined;
    const flags = cookie[28]!;
    return {
      localTag: cookie.readUInt32BE(8),
      peer: {
        tag: cookie.readUInt32BE(12),
        windowBytes: cookie.readUInt32BE(16),
        outboundStreams: cookie.readUInt16BE(20),
        inboundStreams: cookie.readUInt16BE(22),
        initialTsn: cookie.readUInt32BE(24),
        forwardTsn: (flags & 1) !== 0,
        reconfig: (flags & 2) !== 0,
        zeroChecksum: (flags & 4) !== 0,
      },
      isStale: nowMs - cookie.readDoubleBE(0) > lifetimeMs,
    };
  }

  #mac(cookie: Buffer): Buffer {
    return createHmac('sha256', this.#secret).update(cookie.subarray(0, contentBytes)).digest();
  }
}
