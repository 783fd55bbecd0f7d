import { gunzipSync } from 'node:zlib';
import {
  ClientInfo_Capability,
  ClientInfo_SDK,
  JoinRequest,
  WrappedJoinRequest,
  WrappedJoinRequest_Compression,
} from '@livekit/protocol';
import { enumValues } from './checked-values.js';
import type { ClientOptions } from './client-options.js';
import { HttpError } from './http-error.js';
import { limits } from './limits.js';
import { requireFewParts } from './message-bound.js';

/**
 * Reads the join request in the query of `/rtc/v1`: a WrappedJoinRequest in base64.
 *
 * @throws HttpError 400 when it is missing or not one.
 */
export function readJoinRequest(query: URLSearchParams, address: string): ClientOptions {
  const encoded = query.get('join_request');
  if (encoded === null || encoded === '') throw new HttpError(400, 'join_request is required');
  const request = unwrap(encoded);
  const { clientInfo, connectionSettings } = request;
  if (request.addTrackRequests.length > limits.tracksPerParticipant.value)
    throw new HttpError(400, 'join_request has too many tracks');
  return {
    autoSubscribe: connectionSettings?.autoSubscribe ?? false,
    iceLite: query.get('ice_lite') === '1',
    singleConnection: true,
    addTracks: request.addTrackRequests,
    offer: request.publisherOffer,
    resumeSid: request.reconnect ? request.participantSid : undefined,
    clientProtocol: clientInfo?.clientProtocol ?? 0,
    capabilities: enumValues(ClientInfo_Capability, clientInfo?.capabilities ?? []),
    sdk: (ClientInfo_SDK[clientInfo?.sdk ?? ClientInfo_SDK.UNKNOWN] ?? 'unknown').toLowerCase(),
    version: clientInfo?.version ?? '',
    metadata: request.metadata,
    attributes: request.participantAttributes,
    address,
  };
}

function unwrap(encoded: string): JoinRequest {
  try {
    const { compression, joinRequest } = WrappedJoinRequest.fromBinary(Buffer.from(encoded, 'base64'));
    const isCompressed = compression === WrappedJoinRequest_Compression.GZIP;
    const bytes = isCompressed
      ? gunzipSync(joinRequest, { maxOutputLength: limits.joinRequestBytes.value })
      : joinRequest;
    requireFewParts(JoinRequest, bytes);
    return JoinRequest.fromBinary(bytes, { readUnknownFields: false });
  } catch (cause) {
    throw new HttpError(400, 'cannot unmarshal join request', { cause });
  }
}
