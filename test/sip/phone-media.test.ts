import { createSocket, type Socket } from 'node:dgram';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseRtp, serializeRtp } from '../../src/rtp/index.js';
import { encodeG711, PhoneMedia } from '../../src/sip/media/index.js';
import { until } from './until.js';

/** A telephone's socket: says silence, and counts the packets that it hears. */
class Wire {
  heard = 0;
  /** Of the packets that it hears, each once. */
  readonly ssrcs: number[] = [];
  #sequence = 0;
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (packet) => {
      const rtp = parseRtp(packet);
      if (!rtp) return;
      if (rtp.payloadType === 0) this.heard++;
      if (!this.ssrcs.includes(rtp.ssrc)) this.ssrcs.push(rtp.ssrc);
    });
  }

  static open(address = '127.0.0.1'): Promise<Wire> {
    const socket = createSocket('udp4');
    return new Promise((resolve) => socket.bind(0, address, () => resolve(new Wire(socket))));
  }

  get port(): number {
    return this.#socket.address().port;
  }

  say(port: number): void {
    const n = this.#sequence++;
    const header = { payloadType: 0, marker: false, sequenceNumber: n, timestamp: n * 160, ssrc: 7 };
    const payload = Buffer.from(encodeG711(new Int16Array(160), 'mu'));
    this.#socket.send(serializeRtp(header, payload), port, '127.0.0.1');
  }

  close(): void {
    this.#socket.close();
  }
}

const offer = (port: number, format = 'RTP/AVP 0') =>
  Buffer.from(
    `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} ${format}\r\n`,
  );

describe('media of a telephone', () => {
  let media: PhoneMedia;
  const wires: Wire[] = [];
  const open = async (address?: string) => {
    const wire = await Wire.open(address);
    wires.push(wire);
    return wire;
  };
  /** Lets a telephone speak to us until `holds`. */
  const speaking = async (wire: Wire, holds: () => boolean, what: string) => {
    const timer = setInterval(() => wire.say(port()), 20);
    await until(holds, what).finally(() => clearInterval(timer));
  };
  const port = () =>
    media.negotiation
      .offer()
      .toString()
      .match(/m=audio (\d+)/)!
      .slice(1)
      .map(Number)[0]!;

  beforeEach(async () => {
    media = await PhoneMedia.open({
      bindAddress: '127.0.0.1',
      address: '127.0.0.1',
      onAudio: () => {},
      onDtmf: () => {},
    });
  });
  afterEach(() => {
    media.close();
    for (const wire of wires.splice(0)) wire.close();
  });

  test('goes to where it comes from, which behind a NAT is not what the description says', async () => {
    const [described, behindNat] = [await open(), await open()];
    media.answer(offer(described.port));
    media.start();
    await until(() => described.heard > 2, 'it goes where the description says');
    await speaking(behindNat, () => behindNat.heard > 2, 'it goes where it comes from');
  });

  test('from another address is nobody’s while the telephone is heard, and the telephone’s once it is not', async () => {
    const [telephone, stranger] = [await open(), await open('127.0.0.2')];
    media.answer(offer(telephone.port));
    media.start();
    await speaking(telephone, () => telephone.heard > 5, 'the telephone is heard');
    stranger.say(port());
    await until(() => media.stats().packetsRefused > 0, 'the stranger is refused');
    expect(stranger.heard).toBe(0);
    await speaking(stranger, () => stranger.heard > 2, 'the telephone has moved');
  });

  test('goes to a new address once that is agreed on', async () => {
    const [before, after] = [await open(), await open()];
    media.answer(offer(before.port));
    media.start();
    await until(() => before.heard > 2, 'it goes to the first');
    media.answer(offer(after.port));
    await until(() => after.heard > 2, 'it goes to the second');
  });

  /** A description of the telephone's with SRTP keys that are made of this byte. */
  const keys = (byte: number) =>
    `RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:${Buffer.alloc(30, byte).toString('base64')}`;

  test.each([
    ['with another codec it is another source', 'RTP/AVP 0', 'RTP/AVP 8', true],
    ['with other keys of the telephone it is another source', keys(1), keys(2), true],
    ['with the same codec it is the same source', 'RTP/AVP 0', 'RTP/AVP 0 8', false],
    ['with the same keys it is the same source', keys(1), keys(1), false],
  ])('after a new agreement: %s', async (_what, before, after, isAnother) => {
    const telephone = await open();
    media.answer(offer(telephone.port, before));
    media.start();
    await until(() => telephone.ssrcs.length === 1, 'it comes');
    media.answer(offer(telephone.port, after));
    const marked = media.stats().packetsSent;
    await until(
      () => (isAnother ? telephone.ssrcs.length === 2 : media.stats().packetsSent > marked + 5),
      'it goes on',
    );
    expect(telephone.ssrcs).toHaveLength(isAnother ? 2 : 1);
  });

  test('that does not come is missed, unless the call is on hold', async () => {
    const telephone = await open();
    media.answer(offer(telephone.port));
    media.start();
    await until(() => media.silentMs > 100, 'silence is counted');
    expect(media.expectsMedia).toBe(true);
    media.answer(Buffer.concat([offer(telephone.port), Buffer.from('a=recvonly\r\n')]));
    expect(media.expectsMedia).toBe(false);
  });
});
