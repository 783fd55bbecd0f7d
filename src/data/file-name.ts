const maxBytes = 255;
const unusable = /[\\/:*?"<>|]/;

/** Whether a character has a meaning of its own in a path on some system, or none that can be seen. */
function isUnusable(character: string): boolean {
  return unusable.test(character) || character < ' ' || character === '\u007f';
}

/**
 * A name that somebody else chose as the name of a file: its last part, without what has a meaning in a path. Every
 * name from outside that becomes part of a path goes through here.
 *
 * @param names in order of preference; the first of which something is left counts
 */
export function safeFileName(...names: readonly string[]): string {
  for (const name of names) {
    const last = name.split(/[\\/]/).findLast((part) => part !== '') ?? '';
    const plain = Array.from(last, (character) => (isUnusable(character) ? '_' : character)).join('');
    if (plain === '' || /^\.+$/.test(plain)) continue;
    return shortened(plain);
  }
  return 'unnamed';
}

/** Cut to what file systems take, not within a character. */
function shortened(name: string): string {
  const bytes = Buffer.from(name, 'utf8');
  return new TextDecoder().decode(bytes.subarray(0, maxBytes), { stream: bytes.length > maxBytes });
}
