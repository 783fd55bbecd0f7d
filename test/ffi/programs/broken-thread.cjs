// Preloaded into every thread: takes from the engine's what it cannot start without.
const { isMainThread } = require('node:worker_threads');

if (!isMainThread) globalThis.Map = undefined;
