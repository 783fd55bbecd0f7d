import type { E2eeOptions, E2eeRequest } from '@livekit/rtc-ffi-bindings/proto/e2ee_pb.js';
import { KeyProvider } from '../../e2ee/index.js';
import { OffhookError } from '../../errors/index.js';
import type { EncryptionOptions } from '../../room/index.js';
import type { Handler } from '../handler.js';
import type { InitOf, ResponseOf } from '../messages.js';
import { FfiRoom } from '../objects/ffi-room.js';
import { EncryptionType, KeyDerivationFunction } from '../protocol.js';

/**
 * What a room is to be encrypted with. A shared key in the options is key 0 of everybody.
 *
 * @param data whether data packets are encrypted too
 * @throws OffhookError `OFFHOOK_NOT_SUPPORTED` for another cipher than AES-GCM, `OFFHOOK_INVALID_REQUEST` for an option
 *   out of its range
 */
export function fromFfiEncryption(
  { encryptionType, keyProviderOptions }: E2eeOptions,
  data: boolean,
): EncryptionOptions | undefined {
  if (encryptionType === EncryptionType.NONE) return undefined;
  if (encryptionType === EncryptionType.CUSTOM) {
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'encryption of type CUSTOM is not supported', {
      advice: 'Use EncryptionType.GCM, which all LiveKit clients have.',
    });
  }
  const options = keyProviderOptions;
  const { sharedKey, ratchetSalt } = options ?? {};
  const keys = new KeyProvider({
    sharedKey: sharedKey !== undefined,
    ratchetSalt: ratchetSalt?.length ? ratchetSalt : undefined,
    ratchetWindowSize: options?.ratchetWindowSize,
    failureTolerance: options?.failureTolerance,
    // 0 is what programs of before this option send.
    keyRingSize: options?.keyRingSize || undefined,
    derivation: options?.keyDerivationFunction === KeyDerivationFunction.HKDF ? 'hkdf' : 'pbkdf2',
  });
  if (sharedKey) keys.setSharedKey(sharedKey, 0);
  return { keys, data };
}

type Answer = InitOf<ResponseOf<'e2ee'>>['message'];

export const e2ee: Handler<'e2ee'> = ({ roomHandle, message }, { handles }) => ({
  message: answerOf(handles.get(roomHandle, FfiRoom), message),
});

function answerOf({ room }: FfiRoom, message: E2eeRequest['message']): Answer {
  const { encryption } = room;
  if (!encryption) {
    // Programs ask these of every room; there is nothing to switch on, and nothing to list.
    if (message.case === 'managerGetFrameCryptors')
      return { case: message.case, value: { frameCryptors: [] } };
    if (message.case === 'managerSetEnabled' && !message.value.enabled)
      return { case: message.case, value: {} };
    throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'the room was joined without encryption', {
      advice: 'Give connect the option `encryption`.',
    });
  }
  const { keys } = encryption;
  switch (message.case) {
    case 'managerSetEnabled':
      encryption.setEnabled(message.value.enabled ?? false);
      return { case: message.case, value: {} };
    case 'managerGetFrameCryptors': {
      const frameCryptors = encryption.cryptors.map(({ isEnabled, ...rest }) => ({
        ...rest,
        enabled: isEnabled,
      }));
      return { case: message.case, value: { frameCryptors } };
    }
    case 'cryptorSetEnabled': {
      const { participantIdentity = '', trackSid, enabled = false } = message.value;
      encryption.setCryptorEnabled(participantIdentity, trackSid, enabled);
      return { case: message.case, value: {} };
    }
    case 'cryptorSetKeyIndex': {
      const { participantIdentity = '', trackSid, keyIndex = 0 } = message.value;
      encryption.setKeyIndex(participantIdentity, trackSid, keyIndex);
      return { case: message.case, value: {} };
    }
    case 'setSharedKey': {
      const { sharedKey = new Uint8Array(), keyIndex = 0 } = message.value;
      keys.setSharedKey(sharedKey, keyIndex);
      return { case: message.case, value: {} };
    }
    case 'ratchetSharedKey':
      return { case: message.case, value: { newKey: keys.ratchetSharedKey(message.value.keyIndex ?? 0) } };
    case 'getSharedKey':
      return { case: message.case, value: { key: keys.sharedKey(message.value.keyIndex ?? 0) } };
    case 'setKey': {
      const { participantIdentity = '', key = new Uint8Array(), keyIndex = 0 } = message.value;
      keys.setKey(participantIdentity, key, keyIndex);
      return { case: message.case, value: {} };
    }
    case 'ratchetKey': {
      const { participantIdentity = '', keyIndex = 0 } = message.value;
      return { case: message.case, value: { newKey: keys.ratchetKey(participantIdentity, keyIndex) } };
    }
    case 'getKey': {
      const { participantIdentity = '', keyIndex = 0 } = message.value;
      return { case: message.case, value: { key: keys.key(participantIdentity, keyIndex) } };
    }
    default:
      throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'e2ee: the request has no content');
  }
}
