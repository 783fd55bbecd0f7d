import { chunkType, parameter, readParameters } from './packet.js';

/** Parameters of INIT and INIT ACK (RFC 9260 section 3.3.2; RFC 3758; RFC 5061; RFC 9653). */
const parameterType = {
  ipv4Address: 5,
  ipv6Address: 6,
  stateCookie: 7,
  unrecognized: 8,
  cookiePreservative: 9,
  hostName: 11,
  supportedAddressTypes: 12,
  zeroChecksum: 0x8001,
  random: 0x8002,
  chunkList: 0x8003,
  hmacAlgorithms: 0x8004,
  supportedExtensions: 0x8008,
  forwardTsn: 0xc000,
} as const;
const known: ReadonlySet<number> = new Set(Object.values(parameterType));

/** The error detection method "SCTP over DTLS" (RFC 9653 section 8.2). */
const dtlsDetection = Buffer.of(0, 0, 0, 1);
const fixedBytes = 16;
/** Reports beyond this are left out: they would not fit into a packet. */
const maxReportBytes = 256;

/** What an end announces of itself. */
export interface InitParameters {
  tag: number;
  windowBytes: number;
  outboundStreams: number;
  inboundStreams: number;
  initialTsn: number;
  /** It abandons messages by FORWARD TSN (RFC 3758). */
  forwardTsn: boolean;
  /** It resets streams (RFC 6525). */
  reconfig: boolean;
  /** It takes packets with a checksum of zero, because DTLS protects them (RFC 9653). */
  zeroChecksum: boolean;
}

export interface ReceivedInit extends InitParameters {
  /** In INIT ACK only. */
  cookie: Buffer | undefined;
  /** Unknown parameters that their sender wants to hear of, each as it came. */
  unrecognized: Buffer[];
}

/** The body of an INIT or INIT ACK chunk. */
export function encodeInit(
  own: InitParameters,
  cookie?: Buffer,
  unrecognized: readonly Buffer[] = [],
): Buffer {
  const fixed = Buffer.alloc(fixedBytes);
  fixed.writeUInt32BE(own.tag, 0);
  fixed.writeUInt32BE(own.windowBytes, 4);
  fixed.writeUInt16BE(own.outboundStreams, 8);
  fixed.writeUInt16BE(own.inboundStreams, 10);
  fixed.writeUInt32BE(own.initialTsn, 12);
  const extensions = Buffer.of(
    ...(own.reconfig ? [chunkType.reconfig] : []),
    ...(own.forwardTsn ? [chunkType.forwardTsn] : []),
  );
  return Buffer.concat([
    fixed,
    ...(cookie ? [parameter(parameterType.stateCookie, cookie)] : []),
    ...(own.zeroChecksum ? [parameter(parameterType.zeroChecksum, dtlsDetection)] : []),
    ...(own.forwardTsn ? [parameter(parameterType.forwardTsn, Buffer.alloc(0))] : []),
    parameter(parameterType.supportedExtensions, extensions),
    ...unrecognized.map((whole) => parameter(parameterType.unrecognized, whole)),
  ]);
}

/** Reads the body of an INIT or INIT ACK chunk; undefined when it breaks the protocol. */
export function decodeInit(body: Buffer): ReceivedInit | undefined {
  if (body.length < fixedBytes) return undefined;
  const init: ReceivedInit = {
    tag: body.readUInt32BE(0),
    windowBytes: body.readUInt32BE(4),
    outboundStreams: body.readUInt16BE(8),
    inboundStreams: body.readUInt16BE(10),
    initialTsn: body.readUInt32BE(12),
    forwardTsn: false,
    reconfig: false,
    zeroChecksum: false,
    cookie: undefined,
    unrecognized: [],
  };
  if (init.tag === 0 || init.outboundStreams === 0 || init.inboundStreams === 0) return undefined;
  let reportBytes = 0;
  const isWhole = readParameters(body.subarray(fixedBytes), (type, value, whole) => {
    if (type === parameterType.stateCookie) init.cookie = Buffer.from(value);
    else if (type === parameterType.forwardTsn) init.forwardTsn = true;
    else if (type === parameterType.supportedExtensions) {
      if (value.includes(chunkType.reconfig)) init.reconfig = true;
      if (value.includes(chunkType.forwardTsn)) init.forwardTsn = true;
    } else if (type === parameterType.zeroChecksum) init.zeroChecksum = value.equals(dtlsDetection);
    else if (!known.has(type)) {
      // The two highest bits say what to do with an unknown parameter: skip it or stop, report it or not.
      if (type & 0x4000 && reportBytes + whole.length <= maxReportBytes) {
        reportBytes += whole.length;
        init.unrecognized.push(Buffer.from(whole));
      }
      return (type & 0x8000) !== 0;
    }
    return true;
  });
  return isWhole ? init : undefined;
}
