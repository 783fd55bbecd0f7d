import { type CallSession, OutgoingCall, SipEndpoint } from '../../src/sip/call/index.js';
import { PhoneMedia } from '../../src/sip/media/index.js';
import { Headers, parseUri, type SipResponse, type SipUri } from '../../src/sip/message/index.js';

/** A telephone that calls, and keeps what it hears. */
export class CallingPhone {
  readonly heard: number[] = [];
  session: CallSession | undefined;
  /** The last response before the final one. */
  rang: SipResponse | undefined;
  /** The status that the call was refused with. */
  failed: number | undefined;
  readonly #endpoint: SipEndpoint;
  #media: PhoneMedia | undefined;

  private constructor(endpoint: SipEndpoint) {
    this.#endpoint = endpoint;
  }

  static async open(): Promise<CallingPhone> {
    return new CallingPhone(await SipEndpoint.open({ host: '127.0.0.1', port: 0 }));
  }

  async dial(to: string, headers = new Headers()): Promise<OutgoingCall> {
    this.hangUp();
    const media = await PhoneMedia.open({
      bindAddress: '127.0.0.1',
      address: '127.0.0.1',
      codecs: ['PCMU'],
      onAudio: (samples) => {
        for (const sample of samples) this.heard.push(sample);
      },
      onDtmf: () => {},
    });
    this.#media = media;
    const uri = parseUri(to) as SipUri;
    return new OutgoingCall(
      this.#endpoint,
      {
        target: uri,
        protocol: 'udp',
        from: { uri: parseUri('sip:caller@127.0.0.1')!, params: new Map() },
        to: { uri, params: new Map() },
        headers,
        offer: () => media.negotiation.offer(),
      },
      {
        onRinging: (response) => {
          this.rang = response;
          if (response.body.length > 0) media.accept(response.body);
        },
        onAnswered: (session, response) => {
          this.session = session;
          media.accept(response.body);
          media.start();
        },
        onFailed: (status) => {
          this.failed = status;
        },
      },
    );
  }

  press(digits: string): void {
    this.#media!.press(digits);
  }

  hangUp(): void {
    this.session?.bye();
    this.#media?.close();
    this.session = undefined;
    this.rang = undefined;
    this.failed = undefined;
    this.heard.length = 0;
  }

  async close(): Promise<void> {
    this.hangUp();
    await this.#endpoint.close();
  }
}
