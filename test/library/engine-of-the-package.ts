import type * as Offhook from '../../src/index.js';

/** The library as it is shipped: its engine thread needs compiled files. */
export const offhook: typeof Offhook = await import(new URL('../../dist/index.js', import.meta.url).href);
