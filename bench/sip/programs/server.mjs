import { startServer } from '../../../dist/server/index.js';

const server = await startServer({ port: 0, departureTimeoutS: 1 });
process.on('message', () => process.send({ url: server.url }));
process.on('SIGTERM', () => process.exit(0));
