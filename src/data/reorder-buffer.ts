import { limits } from '../limits.js';

/** Something with a number that its publisher gave it. */
interface Numbered {
  publisherSid: string;
  sequence: number;
}

interface Publisher<Item> {
  /** The number that is due. */
  next: number;
  /** What came before its turn, by number. */
  held: Map<number, Item>;
}

interface ReorderBufferOptions<Item> {
  deliver: (item: Item) => void;
  /** Calls back after a while in which nothing waited to be handed over; returns what cancels that. */
  schedule?: (callback: () => void, delayMs: number) => () => void;
}

/** From the first packet on, packets may overtake each other for this long, and no longer. */
const activeMs = 500;

/** A number that has not come when nothing else has come for this time was not for us. */
const holdMs = 30;

/**
 * Puts packets of a data channel that has just opened in order. What came before the channel was taken up is handed over
 * by one thread of the WebRTC library, what comes meanwhile by another, and one may overtake the other. A gap in the
 * numbers may also be a packet for somebody else: so what follows it is held only while more
 * keeps coming.
 */
export class ReorderBuffer<Item extends Numbered> {
  #options: ReorderBufferOptions<Item>;
  #publishers = new Map<string, Publisher<Item>>();
  #cancel: (() => void) | undefined;
  #cancelEnd: (() => void) | undefined;
  #active = true;
  #heldCount = 0;
  #ending = false;

  constructor(options: ReorderBufferOptions<Item>) {
    this.#options = options;
  }

  push(item: Item): void {
    const { publisherSid, sequence } = item;
    if (!this.#active || sequence === 0) {
      this.#options.deliver(item);
      return;
    }
    this.#cancelEnd ??= this.#schedule(() => this.#end(), activeMs);
    let publisher = this.#publishers.get(publisherSid);
    if (!publisher) {
      publisher = { next: 1, held: new Map() };
      this.#publishers.set(publisherSid, publisher);
    }
    if (sequence > publisher.next) {
      if (!publisher.held.has(sequence)) this.#heldCount++;
      publisher.held.set(sequence, item);
      if (this.#heldCount > limits.reorderedPackets.value) {
        this.#flush();
        return;
      }
      this.#cancel?.();
      this.#cancel = this.#schedule(() => this.#flush(), holdMs);
    } else if (sequence < publisher.next) this.#options.deliver(item);
    else this.#deliverFrom(publisher, item);
  }

  /** Delivers what is held, and everything later at once. */
  stop(): void {
    this.#cancelEnd?.();
    this.#active = false;
    this.#flush();
  }

  /** The channel has been in use for a while. What is held still waits for its turn. */
  #end(): void {
    this.#ending = true;
    if (!this.#cancel) this.stop();
  }

  #schedule(callback: () => void, delayMs: number): () => void {
    return (this.#options.schedule ?? whenIdle)(callback, delayMs);
  }

  /** Delivers the next packet, and what was held for it. */
  #deliverFrom(publisher: Publisher<Item>, first: Item): void {
    for (let item: Item | undefined = first; item; item = publisher.held.get(publisher.next)) {
      if (publisher.held.delete(publisher.next)) this.#heldCount--;
      publisher.next++;
      this.#options.deliver(item);
    }
  }

  #flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#heldCount = 0;
    for (const publisher of this.#publishers.values()) {
      const held = [...publisher.held.values()].sort((a, b) => a.sequence - b.sequence);
      publisher.held.clear();
      for (const item of held) {
        publisher.next = item.sequence + 1;
        this.#options.deliver(item);
      }
    }
    if (this.#ending) this.#active = false;
  }
}

/**
 * A timer, and then a turn of the event loop: on a busy machine the timer may be due while packets that came long ago
 * wait to be handed over.
 */
function whenIdle(callback: () => void, delayMs: number): () => void {
  let immediate: NodeJS.Immediate | undefined;
  const timer = setTimeout(() => {
    immediate = setImmediate(() => {
      immediate = setImmediate(callback);
    });
  }, delayMs);
  return () => {
    clearTimeout(timer);
    clearImmediate(immediate);
  };
}
