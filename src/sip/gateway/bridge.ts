import { SIPHeaderOptions } from '@livekit/protocol';
import type { Logger } from '../../logging/index.js';
import type { CallSession, TransferProgress } from '../call/index.js';
import { digitOfInfo, type MediaEncryption, PhoneMedia, playTone } from '../media/index.js';
import { Headers, parseUri, type SipRequest, type SipResponse } from '../message/index.js';
import type { Flow } from '../transport/index.js';
import type { GatewayContext, TransferOutcome, TransferRequest } from './context.js';
import type { RoomLeg } from './room-leg.js';

const mediaCheckMs = 1_000;

interface BridgeOptions {
  context: GatewayContext;
  /** That of the call. */
  logger: Logger;
  flow: Flow;
  encryption: MediaEncryption;
  codecs: readonly string[] | undefined;
  mediaTimeoutMs: number | undefined;
}

/** What joins a phone and a room: audio and keys both ways, for as long as both are there. */
export class Bridge {
  readonly media: PhoneMedia;
  /** Keys of the phone, until the room takes them. */
  onDigit: ((digit: string) => void) | undefined;
  onMediaLost: () => void = () => {};
  readonly #mediaTimeoutMs: number;
  readonly #logger: Logger;
  #room: RoomLeg | undefined;
  #watch: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(
    media: PhoneMedia,
    { context, logger, mediaTimeoutMs }: BridgeOptions,
    wire: { bridge?: Bridge },
  ) {
    this.media = media;
    this.#logger = logger;
    this.#mediaTimeoutMs = mediaTimeoutMs ?? context.times.mediaMs;
    wire.bridge = this;
  }

  /** @throws OffhookError `OFFHOOK_UNREACHABLE` when no ports are free */
  static async open(options: BridgeOptions): Promise<Bridge> {
    const { context, flow, encryption, codecs } = options;
    // The media exists before the bridge that hears it.
    const wire: { bridge?: Bridge } = {};
    const media = await PhoneMedia.open({
      bindAddress: context.mediaAddress,
      address: flow.local.address,
      signallingAddress: flow.remote.address,
      encryption,
      ...(context.mediaPorts ? { ports: context.mediaPorts } : {}),
      ...(codecs ? { codecs } : {}),
      onAudio: (samples, sampleRate) => {
        if (wire.bridge) wire.bridge.#hear(samples, sampleRate);
      },
      onDtmf: ({ code, digit }) => {
        if (wire.bridge) wire.bridge.#pressed(code, digit);
      },
    });
    return new Bridge(media, options, wire);
  }

  /** The room hears the phone from now on, and the phone the room once media has started. */
  join(room: RoomLeg): void {
    this.#room = room;
    this.#update();
  }

  /** The call is answered: sends and expects media. */
  start(): void {
    this.#update();
    this.media.start();
    this.#watch ??= setInterval(() => {
      if (this.media.expectsMedia && this.media.silentMs > this.#mediaTimeoutMs) this.onMediaLost();
    }, mediaCheckMs);
  }

  /** Takes what happens in the call: holds, new addresses, keys in INFO. */
  serve(session: CallSession): void {
    session.onOffer = (sdp) => {
      const negotiated = this.media.answer(sdp);
      this.#update();
      return negotiated.ok
        ? { answer: negotiated.sdp }
        : { refuse: negotiated.status, reason: negotiated.reason };
    };
    session.makeOffer = () => this.media.negotiation.offer();
    session.onAnswer = (sdp) => {
      const accepted = this.media.accept(sdp);
      if (!accepted.ok) this.#logger.warn(`${session.dialog.callId}: ${accepted.reason}`);
      this.#update();
    };
    session.onInfo = (contentType, body) => {
      const pressed = digitOfInfo(contentType, body);
      if (pressed) this.#pressed(pressed.code, pressed.digit);
    };
  }

  /** Sends the phone to somebody else, and reports how that went. */
  transfer(
    session: CallSession,
    { to, headers, playDialtone, ringingMs }: TransferRequest,
  ): Promise<TransferOutcome> {
    const target = parseUri(to);
    if (!target) return Promise.resolve({ status: 400, reason: `"${to}" is not a SIP or tel URI` });
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      let forget = () => {};
      const settle = (outcome: TransferOutcome) => {
        clearTimeout(timer);
        this.media.playTone(undefined);
        forget();
        resolve(outcome);
      };
      timer = setTimeout(
        () => settle({ status: 408, reason: 'the transfer was not answered in time' }),
        ringingMs,
      );
      if (playDialtone) this.media.playTone(playTone.ringback);
      const report = ({ status, reason, final }: TransferProgress) => {
        if (final) settle({ status, reason });
      };
      forget = session.refer(target, Headers.of({ ...headers }), report);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watch);
    this.media.close();
  }

  #hear(samples: Int16Array, sampleRate: number): void {
    this.#room?.pushAudio(samples, sampleRate);
  }

  #pressed(code: number, digit: string): void {
    if (this.onDigit) this.onDigit(digit);
    else this.#room?.pressed(code, digit);
  }

  /** A codec was agreed on, or another one: the mix has its rate. */
  #update(): void {
    const { mixer } = this.media;
    if (mixer) this.#room?.hearThrough(mixer);
  }
}

/** Attributes from a message's headers: those that are mapped by name, and `sip.h.…` for others that are asked for. */
export function headersToAttributes(
  { headers }: SipRequest | SipResponse,
  mapping: Readonly<Record<string, string>>,
  include: SIPHeaderOptions,
): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const { name, value } of headers) {
    const isExtension = /^x-/i.test(name);
    const wanted =
      include === SIPHeaderOptions.SIP_ALL_HEADERS ||
      (include === SIPHeaderOptions.SIP_X_HEADERS && isExtension);
    if (wanted) attributes[`sip.h.${name.toLowerCase()}`] = value;
  }
  for (const [header, attribute] of Object.entries(mapping)) {
    const value = headers.get(header);
    if (value !== undefined) attributes[attribute] = value;
  }
  return attributes;
}

/** Headers from a participant's attributes, as a trunk maps them. */
export function attributesToHeaders(
  attributes: Readonly<Record<string, string>>,
  mapping: Readonly<Record<string, string>>,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [attribute, header] of Object.entries(mapping)) {
    const value = attributes[attribute];
    if (value !== undefined) headers[header] = value;
  }
  return headers;
}
