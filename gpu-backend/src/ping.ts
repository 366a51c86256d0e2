/**
 * The shortest thing that a node writes into an answer's stream, and how the edge reads for it.
 *
 * workerd's HTTP client takes up to 32 bytes with each chunk's header and gives what of them is the chunk's own as a
 * read by itself: one write of a node became two reads, 28 bytes and the rest, and each enters JavaScript. So the edge
 * asks for `leastRead` bytes at once, which may only be where nothing shorter is worth waiting for.
 */
export const leastRead = 29;

/** What breaks silence: a comment, filled up with blanks so that it is not waited for. */
export const ping = `: ping${' '.repeat(24)}\n\n`;
