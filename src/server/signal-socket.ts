import { SignalRequest, SignalResponse } from '@livekit/protocol';
import { type RawData, WebSocket } from 'ws';
import { createLogger } from '../timeline/index.js';

const log = createLogger('server/signal');

interface SignalSocketHandlers {
  onRequest: (request: SignalRequest['message']) => void;
  /** The socket has ended, whoever ended it. */
  onClose: () => void;
}

/** Seconds, as they stand in the JoinResponse. */
export const pingIntervalS = 5;
export const pingTimeoutS = 15;

/** One signalling WebSocket: protobuf, or JSON once the client has sent some. */
export class SignalSocket {
  #socket: WebSocket;
  #json = false;
  #silence: NodeJS.Timeout;

  constructor(socket: WebSocket, handlers: SignalSocketHandlers) {
    this.#socket = socket;
    this.#silence = setTimeout(() => this.close(), pingTimeoutS * 1000);
    socket.on('message', (data, isBinary) => {
      this.#silence.refresh();
      const message = this.#parse(data, isBinary);
      if (message) handlers.onRequest(message);
    });
    socket.on('error', (error) => log.debug(`socket error: ${error.message}`));
    socket.on('close', () => {
      clearTimeout(this.#silence);
      handlers.onClose();
    });
  }

  send(message: SignalResponse['message']): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    const response = new SignalResponse({ message });
    this.#socket.send(this.#json ? response.toJsonString() : response.toBinary());
  }

  /** Ends the connection without a word. */
  terminate(): void {
    this.#socket.terminate();
  }

  /** Closes after what was sent has left. */
  close(): void {
    clearTimeout(this.#silence);
    this.#socket.close(1000);
    const giveUp = setTimeout(() => this.#socket.terminate(), 1000);
    this.#socket.once('close', () => clearTimeout(giveUp));
  }

  /** Undefined when it is not a message: it costs its sender the message, never the connection of anybody else. */
  #parse(data: RawData, isBinary: boolean): SignalRequest['message'] | undefined {
    try {
      const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(data as Buffer[]);
      if (isBinary) return SignalRequest.fromBinary(bytes).message;
      this.#json = true;
      return SignalRequest.fromJsonString(bytes.toString(), { ignoreUnknownFields: true }).message;
    } catch (error) {
      log.warn(`unreadable message passed over: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }
}
