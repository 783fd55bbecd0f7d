import { EventEmitter } from 'node:events';
import { RoomAgentDispatch, ServerInfo, ServerMessage, WorkerMessage } from '@livekit/protocol';
import { AgentWorkers } from '../../dist/server/agents/agent-workers.js';
import { Dispatcher } from '../../dist/server/agents/dispatcher.js';
import { Rooms } from '../../dist/server/rooms.js';
import { join, mutateMessages, split, withoutMessages } from '../engine/messages.mjs';
import { check } from '../engine/target.mjs';

const keys = { devkey: 'secret' };
const access = { apiKey: 'devkey', grants: { agent: true } };
const message = (content) => new WorkerMessage({ message: content }).toBinary();

/** A worker's connection without a network. In what it is sent, `JOB` of an input stands for the job that was offered last. */
class FakeSocket extends EventEmitter {
  readyState = 1;
  bufferedAmount = 0;
  jobId = '';

  send(bytes) {
    const { message: sent } = ServerMessage.fromBinary(bytes);
    if (sent.case === 'availability') this.jobId = sent.value.job.id;
  }

  close() {
    if (this.readyState !== 1) return;
    this.readyState = 3;
    this.emit('close');
  }

  terminate() {
    this.close();
  }

  // What a worker sends beyond its budget comes all the same here: each message of an input counts.
  pause() {}

  resume() {}
}

/** Answers must name a job to be more than passed over. */
function aimed(bytes, socket) {
  try {
    const parsed = WorkerMessage.fromBinary(bytes);
    const { value } = parsed.message;
    if (value && value.jobId === 'JOB') value.jobId = socket.jobId;
    return parsed.toBinary();
  } catch {
    return bytes;
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

export default {
  about: "a worker's messages to the room server, while jobs are offered",
  maxBytes: 2048,
  shorten: withoutMessages,
  words: ['JOB', 'agent'],
  mutate: (input, context) => mutateMessages(input, WorkerMessage, context),
  seeds: () => [
    join([
      message({ case: 'register', value: { agentName: 'agent', type: 0, allowedPermissions: {} } }),
      message({ case: 'updateWorker', value: { status: 0, load: 0.5 } }),
      message({ case: 'availability', value: { jobId: 'JOB', available: true, participantIdentity: 'a' } }),
      message({ case: 'updateJob', value: { jobId: 'JOB', status: 1, error: '' } }),
      message({ case: 'updateJob', value: { jobId: 'JOB', status: 3, error: 'e' } }),
      message({ case: 'ping', value: { timestamp: 1n } }),
    ]),
    join([
      message({ case: 'register', value: { agentName: 'agent', type: 0 } }),
      message({ case: 'availability', value: { jobId: 'JOB', terminate: true } }),
    ]),
    join([
      message({ case: 'register', value: { agentName: 'agent' } }),
      message({ case: 'availability', value: { jobId: 'JOB', available: false } }),
      message({ case: 'updateWorker', value: { status: 1, load: 1 } }),
      message({ case: 'updateWorker', value: { status: 0, load: 0 } }),
    ]),
  ],
  async run(input) {
    const workers = new AgentWorkers({ keys, serverInfo: new ServerInfo() });
    const dispatcher = new Dispatcher(workers);
    const rooms = new Rooms({ emptyTimeoutS: 60, departureTimeoutS: 60, maxParticipants: 0 }, dispatcher);
    const { room } = rooms.open('r', { agents: [new RoomAgentDispatch({ agentName: 'agent' })] });
    const socket = new FakeSocket();
    workers.serve(socket, access);
    for (const bytes of split(input)) {
      await settled();
      socket.emit('message', Buffer.from(aimed(bytes, socket)));
    }
    await settled();
    for (const dispatch of dispatcher.list(room)) dispatch.toBinary();
    // Another worker still gets what this one has left.
    dispatcher.create(room, { agentName: 'agent', metadata: '', attributes: {} });
    socket.close();
    rooms.closeAll();
    check(dispatcher.list(room).length === 0, 'a room that has closed has no dispatches');
  },
};
