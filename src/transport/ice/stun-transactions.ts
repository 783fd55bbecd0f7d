import { OffhookError } from '../../errors/index.js';
import type { StunMessage } from './stun.js';

export interface StunTransactionsOptions {
  send: (packet: Buffer) => void;
  /** When a request that is not answered is sent again, in milliseconds after its first time; never on a stream. */
  resendAtMs: readonly number[];
  timeoutMs: number;
  /** Of the other side, for errors. */
  name: string;
}

interface Transaction {
  resolve: (response: StunMessage) => void;
  reject: (error: OffhookError) => void;
  timers: NodeJS.Timeout[];
}

/** Requests of a STUN client that await their answers (RFC 8489, section 6.2). Keeps no process alive. */
export class StunTransactions {
  #options: StunTransactionsOptions;
  #pending = new Map<string, Transaction>();

  constructor(options: StunTransactionsOptions) {
    this.#options = options;
  }

  /**
   * Sends a request; resolves with the answer, of success or error.
   *
   * @throws OffhookError `OFFHOOK_DEADLINE` when there is none, or what `close` was given
   */
  request(transactionId: Buffer, packet: Buffer): Promise<StunMessage> {
    const { send, resendAtMs, timeoutMs, name } = this.#options;
    const id = transactionId.toString('hex');
    return new Promise((resolve, reject) => {
      const expire = () => {
        this.#take(id);
        reject(new OffhookError('OFFHOOK_DEADLINE', `${name} did not answer within ${timeoutMs} ms`));
      };
      const timers = resendAtMs.map((delayMs) => setTimeout(() => send(packet), delayMs).unref());
      timers.push(setTimeout(expire, timeoutMs).unref());
      this.#pending.set(id, { resolve, reject, timers });
      send(packet);
    });
  }

  /** Takes a message; false when it answers no request of ours. */
  receive(message: StunMessage): boolean {
    if (message.class !== 'success' && message.class !== 'error') return false;
    const transaction = this.#take(message.transactionId.toString('hex'));
    transaction?.resolve(message);
    return transaction !== undefined;
  }

  /** Gives up what is awaited, for this reason. */
  close(reason: OffhookError): void {
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(reason);
  }

  #take(id: string): Transaction | undefined {
    const transaction = this.#pending.get(id);
    this.#pending.delete(id);
    for (const timer of transaction?.timers ?? []) clearTimeout(timer);
    return transaction;
  }
}
