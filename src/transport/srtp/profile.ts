/** A protection profile by the name that SDP's `a=crypto` uses too (RFC 4568 section 6.2, RFC 7714 section 14.2). */
export type SrtpProfile = 'AEAD_AES_128_GCM' | 'AES_CM_128_HMAC_SHA1_80' | 'AES_CM_128_HMAC_SHA1_32';

/** What one side encrypts with: 16 bytes of key; 12 bytes of salt for AES-GCM, 14 for AES-CM. */
export interface SrtpMasterKey {
  key: Buffer;
  salt: Buffer;
}

export interface SrtpProfileParameters {
  /** Its number in the `use_srtp` extension of DTLS (RFC 5764 section 4.1.2, RFC 7714 section 14.2). */
  dtlsId: number;
  keyBytes: number;
  saltBytes: number;
  rtpTagBytes: number;
  rtcpTagBytes: number;
}

export const srtpProfiles: Readonly<Record<SrtpProfile, SrtpProfileParameters>> = {
  AEAD_AES_128_GCM: { dtlsId: 0x0007, keyBytes: 16, saltBytes: 12, rtpTagBytes: 16, rtcpTagBytes: 16 },
  AES_CM_128_HMAC_SHA1_80: { dtlsId: 0x0001, keyBytes: 16, saltBytes: 14, rtpTagBytes: 10, rtcpTagBytes: 10 },
  // The short tag is for RTP only: RTCP keeps 80 bits (RFC 5764 section 4.1.2).
  AES_CM_128_HMAC_SHA1_32: { dtlsId: 0x0002, keyBytes: 16, saltBytes: 14, rtpTagBytes: 4, rtcpTagBytes: 10 },
};

/** The most bytes that protection adds to a packet: an authentication tag, and the index of an RTCP packet. */
export const srtpMaxOverheadBytes = 20;
