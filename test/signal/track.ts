import { onTestFinished } from 'vitest';

/** Closes `part` when the test that is running ends, later parts first. */
export function track<T extends { close(): unknown }>(part: T): T {
  onTestFinished(async () => {
    await part.close();
  });
  return part;
}
