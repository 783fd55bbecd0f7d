import { AddTrackRequest, SignalRequest } from '@livekit/protocol';
import { Boundary } from '../../dist/server/boundary.js';
import { Participant } from '../../dist/server/participant.js';
import { Room } from '../../dist/server/room.js';
import { Publisher } from '../../dist/server/sfu/publisher.js';
import { Subscriber } from '../../dist/server/sfu/subscriber.js';
import { handleRequest } from '../../dist/server/signal-requests.js';
import { WorkMeter } from '../../dist/server/work-meter.js';
import { join, mutateMessages, split, withoutMessages } from '../engine/messages.mjs';
import { check } from '../engine/target.mjs';

const grants = {
  roomJoin: true,
  canPublish: true,
  canPublishSources: [],
  canSubscribe: true,
  canPublishData: true,
  canUpdateOwnMetadata: true,
};
const client = {
  autoSubscribe: true,
  addTracks: [],
  clientProtocol: 0,
  capabilities: [],
  metadata: '',
  attributes: {},
};
const nothing = () => {};
const listener = {
  onOpened: nothing,
  onParticipantJoined: nothing,
  onParticipantLeft: nothing,
  onTracksPublished: nothing,
  onClosed: nothing,
};
const connection = {
  name: 'fuzz',
  boundary: new Boundary('fuzz'),
  endpoint: { port: 0, certificate: { fingerprint: '' } },
  iceLite: false,
  candidates: [],
  sendOffer: nothing,
  onPublished: nothing,
  onUnpublished: nothing,
  onTrackAccepted: nothing,
  onData: () => [],
  onDataOverflow: nothing,
  onTracksOverdue: nothing,
  work: WorkMeter.forPackets(),
  onConnected: nothing,
  onFailed: nothing,
};
/** Descriptions have a target of their own: a transport for each input costs too much. */
const elsewhere = new Set(['offer', 'answer']);
const request = (message) => new SignalRequest({ message }).toBinary();

function participant(room, identity) {
  const access = { identity, name: '', metadata: '', attributes: {}, kind: '', grants };
  const joined = new Participant(access, client, () => ({
    publisher: new Publisher(connection),
    subscriber: new Subscriber(connection),
  }));
  joined.socket = { send: (message) => message.binary, close: nothing };
  room.join(joined);
  room.announce(joined);
  return joined;
}

/** A room and its other participant cost as much as an input: some inputs share them. */
const inputsPerRoom = 64;
let shared;
let inputs = 0;

function sharedRoom() {
  if (inputs++ % inputsPerRoom === 0) {
    shared?.room.close(1);
    const options = { name: 'r', emptyTimeoutS: 1, departureTimeoutS: 1, maxParticipants: 0, metadata: '' };
    const room = new Room(options, listener, nothing);
    shared = { room, other: participant(room, 'other') };
  }
  return shared;
}

export default {
  about: "a client's messages to the room server, with another participant in the room",
  maxBytes: 4096,
  shorten: withoutMessages,
  words: ['{"candidate":"candidate:1 1 udp 2130706431 10.0.0.7 50000 typ host","sdpMid":"0"}'],
  mutate: (input, context) => mutateMessages(input, SignalRequest, context),
  seeds: () => [
    join([
      request({
        case: 'addTrack',
        value: new AddTrackRequest({ cid: 'c', name: 'mic', type: 0, source: 2 }),
      }),
      request({ case: 'mute', value: { sid: 'TR_x', muted: true } }),
      request({ case: 'subscription', value: { trackSids: ['TR_x'], subscribe: true } }),
      request({ case: 'trackSetting', value: { trackSids: ['TR_x'], disabled: true } }),
      request({ case: 'updateMetadata', value: { name: 'n', metadata: 'm', attributes: { a: 'b' } } }),
      request({ case: 'subscriptionPermission', value: { allParticipants: true } }),
      request({ case: 'trickle', value: { candidateInit: '{"candidate":"c"}', target: 0 } }),
      request({ case: 'syncState', value: {} }),
      request({ case: 'pingReq', value: { timestamp: 1n, rtt: 2n } }),
      request({ case: 'leave', value: {} }),
    ]),
  ],
  run(input) {
    const { room, other } = sharedRoom();
    const self = participant(room, 'self');
    for (const bytes of split(input)) {
      let message;
      try {
        ({ message } = SignalRequest.fromBinary(bytes));
      } catch {
        continue;
      }
      if (!elsewhere.has(message.case)) handleRequest(room, self, message);
    }
    // Whatever one has sent, another can be told of the room.
    room.sync(other);
    other.info().toBinary();
    check(room.participants.get('other') === other, 'the other participant is still there');
    room.remove(self, 1);
    check(room.participants.size === 1, 'nobody is left but the other participant');
  },
};
