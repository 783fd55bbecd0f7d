/** Stream ids are the sender's choice: two senders may choose the same. */
export function streamKey(participantIdentity: string, streamId: string): string {
  return `${participantIdentity}\n${streamId}`;
}
