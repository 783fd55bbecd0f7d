import { type IceCandidate, PeerConnection, type PeerConnectionOptions } from '../../src/transport/index.js';

export interface Peers {
  a: PeerConnection;
  b: PeerConnection;
  /** Offers from `a`, answers from `b`, trickling candidates as they come. */
  negotiate(offer?: { iceRestart?: boolean }): Promise<void>;
  close(): void;
}

/** Two peer connections on the loopback interface that exchange their candidates. */
export function makePeers(options: Partial<PeerConnectionOptions> = {}): Peers {
  const make = (name: string) => new PeerConnection({ name, bindAddress: '127.0.0.1', ...options });
  const a = make('a');
  const b = make('b');
  // Candidates wait until both descriptions are set: DTLS that begins before the other side is ready loses a second.
  let described = false;
  const early: (() => void)[] = [];
  const trickle = (to: PeerConnection) => (candidate: IceCandidate) => {
    if (described) to.addIceCandidate(candidate);
    else early.push(() => to.addIceCandidate(candidate));
  };
  a.onLocalCandidate = trickle(b);
  b.onLocalCandidate = trickle(a);
  return {
    a,
    b,
    async negotiate(offer) {
      b.setRemoteDescription(await a.createOffer(offer));
      a.setRemoteDescription(await b.createAnswer());
      described = true;
      for (const add of early.splice(0)) add();
    },
    close() {
      a.close();
      b.close();
    },
  };
}

/** Resolves when `event` has been called; the listener that was there before is called too. */
export function once<Target extends object>(
  target: Target,
  event: keyof Target & string,
): Promise<unknown[]> {
  const listeners = target as Record<string, (...args: unknown[]) => void>;
  return new Promise((resolve) => {
    const before = listeners[event];
    listeners[event] = (...args) => {
      before?.(...args);
      resolve(args);
    };
  });
}

/** Resolves when both are connected. */
export async function bothConnected({ a, b }: Peers): Promise<void> {
  const connected = (pc: PeerConnection) =>
    new Promise<void>((resolve) => {
      if (pc.state === 'connected') resolve();
      const before = pc.onStateChange;
      pc.onStateChange = (state) => {
        before(state);
        if (state === 'connected') resolve();
      };
    });
  await Promise.all([connected(a), connected(b)]);
}
