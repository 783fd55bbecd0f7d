import { JoinRequest, ParticipantInfo, WrappedJoinRequest } from '@livekit/protocol';
import { readClientOptions } from '../../dist/server/client-options.js';
import { HttpError } from '../../dist/server/http-error.js';
import { readJoinRequest } from '../../dist/server/join-request.js';
import { refusesWith } from '../engine/target.mjs';

/** What a client says of itself must fit the messages that others are told of it with. */
function tell(options) {
  if (!options) return;
  const { clientProtocol, capabilities, metadata, attributes } = options;
  new ParticipantInfo({ clientProtocol, capabilities, metadata, attributes }).toBinary();
  for (const track of options.addTracks) track.toBinary();
}

export default {
  about: 'what a client says of itself when it joins: the query of /rtc, the join request of /rtc/v1',
  maxBytes: 4096,
  words: [
    'client_protocol=',
    'capabilities=',
    'attributes=',
    'auto_subscribe=1',
    'reconnect=1&sid=PA_x',
    'constructor',
  ],
  seeds: () => [
    Buffer.from('sdk=node&version=1.2.3&client_protocol=16&capabilities=CAP_PACKET_TRAILER&auto_subscribe=1'),
    Buffer.from(`attributes=${Buffer.from('{"a":"b"}').toString('base64url')}&reconnect=1&sid=PA_x`),
    Buffer.from(
      new WrappedJoinRequest({
        joinRequest: new JoinRequest({ participantAttributes: { a: 'b' }, metadata: 'm' }).toBinary(),
      }).toBinary(),
    ),
  ],
  run(input) {
    const query = new URLSearchParams(input.toString('latin1'));
    for (const strict of [false, true]) {
      tell(refusesWith([HttpError], () => readClientOptions(query, '127.0.0.1', { strict })));
    }
    tell(
      refusesWith([HttpError], () =>
        readJoinRequest(new URLSearchParams({ join_request: input.toString('base64') }), '127.0.0.1'),
      ),
    );
    tell(refusesWith([HttpError], () => readJoinRequest(query, '127.0.0.1')));
  },
};
