/** Streams that one plugin may have at a time: slots of the table of addresses in its host. */
export const maxStreams = 1024;
