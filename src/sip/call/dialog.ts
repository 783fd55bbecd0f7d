import { isIP } from 'node:net';
import {
  formatNameAddr,
  Headers,
  isSipUri,
  type NameAddr,
  nameAddrs,
  type SipRequest,
  type SipResponse,
  type SipUri,
  tagOf,
  type Uri,
} from '../message/index.js';
import type { Flow } from '../transport/index.js';

interface DialogState {
  callId: string;
  /** With our tag. */
  local: NameAddr;
  /** With the peer's tag, once it has given one. */
  remote: NameAddr;
  remoteTarget: Uri;
  /** Proxies on the way, the next hop first. */
  routes: NameAddr[];
  localSequence: number;
  remoteSequence: number | undefined;
  flow: Flow;
}

interface RequestParts {
  headers?: Headers;
  body?: Buffer;
}

const noBody = Buffer.alloc(0);
const maxForwards = '70';

/** A relation between two user agents (RFC 3261, section 12): what requests within it look like, and in what order. */
export class Dialog {
  readonly #state: DialogState;

  private constructor(state: DialogState) {
    this.#state = state;
  }

  /** The server's side: from the INVITE that came and the tag that we give. */
  static fromRequest(request: SipRequest, localTag: string, flow: Flow): Dialog {
    const local: NameAddr = { ...request.to, params: new Map(request.to.params) };
    local.params.set('tag', localTag);
    return new Dialog({
      callId: request.callId,
      local,
      remote: request.from,
      remoteTarget: nameAddrs(request.headers, 'Contact')?.[0]?.uri ?? request.from.uri,
      routes: nameAddrs(request.headers, 'Record-Route') ?? [],
      localSequence: Math.floor(Math.random() * 0x10000),
      remoteSequence: request.cseq.sequence,
      flow,
    });
  }

  /** The client's side: from the INVITE that was sent and a response with a tag. */
  static fromResponse(request: SipRequest, response: SipResponse, flow: Flow): Dialog {
    return new Dialog({
      callId: request.callId,
      local: request.from,
      remote: response.to,
      remoteTarget: nameAddrs(response.headers, 'Contact')?.[0]?.uri ?? request.uri,
      routes: (nameAddrs(response.headers, 'Record-Route') ?? []).reverse(),
      localSequence: request.cseq.sequence,
      remoteSequence: undefined,
      flow,
    });
  }

  get key(): string {
    const { callId, local, remote } = this.#state;
    return dialogKey(callId, tagOf(local), tagOf(remote));
  }

  get callId(): string {
    return this.#state.callId;
  }

  get remote(): NameAddr {
    return this.#state.remote;
  }

  get flow(): Flow {
    return this.#state.flow;
  }

  get remoteTarget(): Uri {
    return this.#state.remoteTarget;
  }

  /** A request within the dialog, without a Via. An ACK bears the number of the INVITE that it acknowledges. */
  request(method: string, { headers, body = noBody }: RequestParts = {}, sequence?: number): SipRequest {
    const state = this.#state;
    if (sequence === undefined) state.localSequence++;
    const all = new Headers().add('Max-Forwards', maxForwards);
    const { uri, routes } = this.#way();
    for (const route of routes) all.add('Route', route);
    for (const { name, value } of headers ?? []) all.add(name, value);
    return {
      kind: 'request',
      method,
      uri,
      vias: [],
      from: state.local,
      to: state.remote,
      callId: state.callId,
      cseq: { sequence: sequence ?? state.localSequence, method },
      headers: all,
      body,
    };
  }

  /** Whether a request comes in order; its number and its Contact are taken over then. */
  accept(request: SipRequest): boolean {
    const state = this.#state;
    const { sequence } = request.cseq;
    if (state.remoteSequence !== undefined && sequence <= state.remoteSequence) return false;
    state.remoteSequence = sequence;
    if (request.method === 'INVITE' || request.method === 'UPDATE') this.retarget(request);
    return true;
  }

  /** A request or response that refreshes where the peer is (RFC 3261, section 12.2). */
  retarget(message: SipRequest | SipResponse): void {
    const contact = nameAddrs(message.headers, 'Contact')?.[0];
    if (contact) this.#state.remoteTarget = contact.uri;
  }

  /** A final answer's route replaces an early dialog's (RFC 3261, section 13.2.2.4). */
  confirm(response: SipResponse): void {
    this.#state.routes = (nameAddrs(response.headers, 'Record-Route') ?? []).reverse();
    this.retarget(response);
  }

  /** The next requests go another way: over a connection that replaces a lost one. */
  set flow(flow: Flow) {
    this.#state.flow = flow;
  }

  /** Who a request is sent to first, and what it says about the rest of the way (RFC 3261, section 12.2.1.1). */
  #way(): { uri: Uri; routes: string[] } {
    const { routes, remoteTarget } = this.#state;
    const first = routes[0];
    if (!first) return { uri: remoteTarget, routes: [] };
    const texts = routes.map(formatNameAddr);
    if (isSipUri(first.uri) && first.uri.params.has('lr')) return { uri: remoteTarget, routes: texts };
    // A strict router expects its own address as the request URI, and the target as the last route.
    return {
      uri: first.uri,
      routes: [...texts.slice(1), formatNameAddr({ uri: remoteTarget, params: new Map() })],
    };
  }

  /**
   * Whether the first proxy of the route is another than the one that the peer was heard through. A proxy that gives its name
   * is taken for that one, and so is one that has a connection to us, which comes from any port.
   */
  get leavesFlow(): boolean {
    const { routes, flow } = this.#state;
    const uri = routes[0]?.uri;
    if (!uri || !isSipUri(uri) || isIP(uri.host) === 0) return false;
    const isSamePort = flow.protocol !== 'udp' || (uri.port ?? 5060) === flow.remote.port;
    return uri.host !== flow.remote.address || !isSamePort;
  }

  /** The URI whose host is the next hop. */
  get nextHop(): SipUri | undefined {
    const { routes, remoteTarget } = this.#state;
    const uri = routes[0]?.uri ?? remoteTarget;
    return isSipUri(uri) ? uri : undefined;
  }
}

/** Call-ID and both tags, as this side sees them (RFC 3261, section 12). */
export function dialogKey(
  callId: string,
  localTag: string | undefined,
  remoteTag: string | undefined,
): string {
  return `${callId} ${localTag ?? ''} ${remoteTag ?? ''}`;
}
