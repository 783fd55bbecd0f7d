export type { FrameCodec } from './clear-bytes.js';
export { DataCryptor, type EncryptedData } from './data-cryptor.js';
export { type EncryptionState, FrameDecryptor, FrameEncryptor } from './frame-cryptor.js';
export { type KeyDerivation, KeyProvider, type KeyProviderOptions } from './key-provider.js';
