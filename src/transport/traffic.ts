/** What the tracks and channels of one peer connection have carried. */
export interface Traffic {
  bytesSent: number;
  bytesReceived: number;
}
