import { SignalResponse } from '@livekit/protocol';

/** One message to clients, encoded once for each form in which it is sent and however many it is sent to. */
export class SignalMessage {
  readonly message: SignalResponse['message'];
  #binary: Uint8Array | undefined;
  #json: string | undefined;

  constructor(message: SignalResponse['message']) {
    this.message = message;
  }

  /** @throws Error when a value does not fit its field. */
  get binary(): Uint8Array {
    this.#binary ??= new SignalResponse({ message: this.message }).toBinary();
    return this.#binary;
  }

  /** @throws Error when a value does not fit its field. */
  get json(): string {
    this.#json ??= new SignalResponse({ message: this.message }).toJsonString();
    return this.#json;
  }
}
