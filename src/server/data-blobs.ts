import {
  type DataBlob,
  type DataBlobKey,
  type GetDataBlobRequest,
  GetDataBlobResponse,
  RequestResponse_Reason as Reason,
  type StoreDataBlobRequest,
  StoreDataBlobResponse,
} from '@livekit/protocol';
import { isCustomEncodingValid, type Refusal } from './data-tracks.js';
import { limits } from './limits.js';
import type { Participant } from './participant.js';

/** Keeps what a participant lets others read (definitions of schemas), or says why not. */
export function storeDataBlob(
  participant: Participant,
  { requestId, blob }: StoreDataBlobRequest,
): Refusal | undefined {
  const key = keyOf(blob?.key);
  if (!blob || key === undefined) return { reason: Reason.INVALID_REQUEST, message: 'data blob is invalid' };
  if (blob.key?.key.case === 'schemaId' && !isCustomEncodingValid(blob.key.key.value.encoding?.value))
    return {
      reason: Reason.INVALID_REQUEST,
      message: 'encoding identifier is empty or exceeds the maximum length',
    };
  if (blob.contents.length === 0) return { reason: Reason.INVALID_REQUEST, message: 'data blob is empty' };
  const { blobs } = participant.dataTracks;
  let bytes = bytesOf(key, blob);
  for (const [other, kept] of blobs) if (other !== key) bytes += bytesOf(other, kept);
  if (bytes > limits.dataBlobsBytes.value)
    return { reason: Reason.LIMIT_EXCEEDED, message: 'data blobs exceed the size limit' };
  blobs.set(key, blob);
  const value = new StoreDataBlobResponse({ requestId, ...(blob.key && { key: blob.key }) });
  participant.send({ case: 'storeDataBlobResponse', value });
  return undefined;
}

/** Answers with what a publisher has stored, or says why not. */
export function getDataBlob(
  participant: Participant,
  publisher: Participant | undefined,
  { requestId, key }: GetDataBlobRequest,
): Refusal | undefined {
  const name = keyOf(key);
  if (name === undefined) return { reason: Reason.INVALID_REQUEST, message: 'data blob key is required' };
  if (!publisher) return { reason: Reason.NOT_FOUND, message: 'participant not found' };
  const blob = publisher.dataTracks.blobs.get(name);
  if (!blob) return { reason: Reason.NOT_FOUND, message: 'data blob not found' };
  participant.send({ case: 'getDataBlobResponse', value: new GetDataBlobResponse({ requestId, blob }) });
  return undefined;
}

/** Undefined for a key that is missing or too long. */
function keyOf(key: DataBlobKey | undefined): string | undefined {
  if (!key || key.key.case === undefined) return undefined;
  const bytes = key.toBinary();
  return bytes.length > limits.dataBlobKeyBytes.value ? undefined : Buffer.from(bytes).toString('latin1');
}

const bytesOf = (key: string, { contents }: DataBlob): number => key.length + contents.length;
