import { type CallSession, IncomingCall, SipEndpoint } from '../../src/sip/call/index.js';
import { PhoneMedia } from '../../src/sip/media/index.js';
import { Headers } from '../../src/sip/message/index.js';
import { dominantFrequencyHz, makeTone } from '../support/tone.js';

/** A telephone that is called: does what a test says, and keeps what it hears. */
export class CalledPhone {
  readonly endpoint: SipEndpoint;
  readonly heard: number[] = [];
  digits = '';
  call: IncomingCall | undefined;
  /** Headers of the INVITE. */
  headers: Headers | undefined;
  /** Codecs that it was offered, in their order. */
  offered: string[] = [];
  referredTo: string | undefined;
  cancelled: string | undefined;
  ended: string | undefined;
  media: PhoneMedia | undefined;
  /** Headers of its answer. */
  answerHeaders = new Headers();
  /** What it does when it is called. */
  onCall: (call: IncomingCall) => void = (call) => call.ring();
  #speaks: NodeJS.Timeout | undefined;

  private constructor(endpoint: SipEndpoint) {
    this.endpoint = endpoint;
    endpoint.onInvite = (served) => {
      const call = new IncomingCall(endpoint, served);
      this.call = call;
      this.headers = served.request.headers;
      this.offered = [...served.request.body.toString().matchAll(/a=rtpmap:\d+ ([\w-]+)/g)].map(
        ([, name]) => name!,
      );
      call.onCancelled = (why) => {
        this.cancelled = why;
      };
      this.onCall(call);
    };
  }

  static async open(): Promise<CalledPhone> {
    return new CalledPhone(await SipEndpoint.open({ host: '127.0.0.1', port: 0 }));
  }

  get session(): CallSession {
    return this.call!.session;
  }

  /** Speaks from now on; `accept` says by which response. */
  async answer(
    codecs?: string[],
    accept: (sdp: Buffer) => void = (sdp) => this.call!.accept(sdp, this.answerHeaders),
  ): Promise<void> {
    const call = this.call!;
    const media = await PhoneMedia.open({
      bindAddress: '127.0.0.1',
      address: '127.0.0.1',
      ...(codecs ? { codecs } : {}),
      onAudio: (samples) => {
        for (const sample of samples) this.heard.push(sample);
      },
      onDtmf: ({ digit }) => {
        this.digits += digit;
      },
    });
    this.media = media;
    const negotiated = media.answer(call.request.body);
    if (!negotiated.ok) throw new Error(negotiated.reason);
    accept(negotiated.sdp);
    call.session.onEnded = (why) => {
      this.ended = why;
    };
    media.start();
    const input = media.mixer!.addInput();
    const tone = makeTone(600, 1_000, 8_000, -12).samples;
    let at = 0;
    this.#speaks = setInterval(() => {
      input.push(tone.subarray(at, at + 80));
      at = (at + 80) % tone.length;
    }, 10);
  }

  reset(): void {
    clearInterval(this.#speaks);
    this.media?.close();
    this.media = undefined;
    this.call?.session.end('test is over');
    this.call = undefined;
    this.heard.length = 0;
    this.digits = '';
    this.cancelled = undefined;
    this.ended = undefined;
    this.answerHeaders = new Headers();
    this.onCall = (call) => call.ring();
  }

  async close(): Promise<void> {
    this.reset();
    await this.endpoint.close();
  }
}

/** Whether the last half second is a tone of `hz`. */
export function endsWith(heard: readonly number[], sampleRate: number, hz: number): boolean {
  const samples = Int16Array.from(heard.slice(-sampleRate / 2));
  return samples.length > 0 && Math.abs(dominantFrequencyHz({ samples, sampleRate }) - hz) <= 5;
}
