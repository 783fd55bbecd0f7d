// node program-with-plugin.mjs LIBRARY [and leave]: loads the plugin for a room in a worker thread, as the engine does,
// and says so; then lives on, or has nothing more to do.
import { Worker } from 'node:worker_threads';

const [library, leave] = process.argv.slice(2);
const filters = new URL('../../dist/filters/index.js', import.meta.url).href;
const worker = new Worker(
  `import(${JSON.stringify(filters)}).then(({ FilterRegistry }) => {
    const registry = new FilterRegistry();
    registry.loadNative({ moduleId: 'gain', pluginPath: ${JSON.stringify(library)} });
    registry.roomConnecting({ url: 'ws://127.0.0.1:7880', token: 'token' });
    setTimeout(() => console.log('loaded'), 300);
    ${leave ? '' : 'setInterval(() => {}, 1000);'}
  });`,
  { eval: true },
);
worker.on('error', (error) => {
  throw error;
});
