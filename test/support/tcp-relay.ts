import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP relay in front of a server, which can cut every connection as a failing network does. */
export class TcpRelay {
  #server: Server;
  #target: URL;
  #sockets = new Set<Socket>();
  /** What the server sends on each connection, and to whom. */
  #answers = new Map<Socket, Socket>();
  #isAway = false;
  /** Connections whose client is not heard any more; undefined while all are. */
  #muted: (() => void)[] | undefined;

  private constructor(server: Server, target: string) {
    this.#server = server;
    this.#target = new URL(target);
  }

  static async open(target: string): Promise<TcpRelay> {
    const server = createServer();
    const relay = new TcpRelay(server, target);
    server.on('connection', (near) => {
      if (relay.#isAway) {
        near.destroy();
        return;
      }
      const far = connect(Number(relay.#target.port), relay.#target.hostname);
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        relay.#sockets.add(from);
        from.on('error', () => {});
        from.on('close', () => {
          relay.#sockets.delete(from);
          to.destroy();
        });
      }
      far.pipe(near);
      relay.#answers.set(far, near);
      far.once('close', () => relay.#answers.delete(far));
      near.once('data', (first) => {
        far.write(first);
        near.pause();
        const listen = () => near.pipe(far);
        if (relay.#muted) relay.#muted.push(listen);
        else listen();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return relay;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Where connections lead that are made from now on. */
  leadTo(target: string): void {
    this.#target = new URL(target);
  }

  /** Cuts all connections; new ones may be made. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Cuts all connections, and those that come until `back`. */
  goAway(): void {
    this.#isAway = true;
    this.cut();
  }

  back(): void {
    this.#isAway = false;
  }

  /** Of connections that are made from now on, only the first bytes of the client's (an HTTP request) go through. */
  muteClients(): void {
    this.#muted ??= [];
  }

  /** On the connections that there are, nothing that the server sends arrives any more. */
  loseAnswers(): void {
    for (const [far, near] of this.#answers) {
      far.unpipe(near);
      far.resume();
    }
  }

  /** What muted clients have said goes through, and all that comes after. */
  unmuteClients(): void {
    const muted = this.#muted ?? [];
    this.#muted = undefined;
    for (const listen of muted) listen();
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
