// Preloaded into every thread: lets a test end the engine's thread from within, as a fault of its own would.
const { isMainThread, parentPort } = require('node:worker_threads');

if (!isMainThread) parentPort.on('message', (message) => message === 'end' && process.exit(7));
