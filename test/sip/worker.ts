import {
  JobStatus,
  JobType,
  ServerMessage,
  UpdateJobStatus,
  WorkerMessage,
  WorkerStatus,
} from '@livekit/protocol';
import { WebSocket } from 'ws';
import { AudioSource } from '../../src/audio/index.js';
import { Room } from '../support/engine.js';
import { makeToken } from '../support/token.mjs';
import { makeTone } from '../support/tone.js';

/** An agent in a room: says a tone until the phone has left. */
interface Job {
  room: Room;
  source: AudioSource;
  leave(status: JobStatus): Promise<void>;
}

/**
 * A worker of LiveKit's agent protocol whose agents say a tone, as small as it can be: many calls at once fit into a
 * test.
 */
export class ToneWorker {
  readonly jobs = new Map<string, Job>();
  /** Jobs that were taken so far. */
  taken = 0;
  /** Whether agents publish a track; without one a caller hears ringing. */
  speaks = true;
  /** Whether agents stay until the server ends their job, as those do that do not watch who leaves. */
  staysToTheEnd = false;
  readonly #socket: WebSocket;
  readonly #url: string;

  private constructor(socket: WebSocket, url: string) {
    this.#socket = socket;
    this.#url = url;
    socket.on('message', (data: Buffer) => this.#handle(ServerMessage.fromBinary(data).message));
  }

  static async start(server: { url: string }): Promise<ToneWorker> {
    const keys = { url: server.url, apiKey: 'devkey', apiSecret: 'secret' };
    const token = await makeToken(keys, '', 'worker', { agent: true, roomJoin: false });
    const socket = new WebSocket(`${server.url}/agent`, { headers: { Authorization: `Bearer ${token}` } });
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    const worker = new ToneWorker(socket, server.url);
    const registered = new Promise((resolve) => socket.once('message', resolve));
    worker.#send({ case: 'register', value: { type: JobType.JT_ROOM, version: '1' } });
    await registered;
    worker.#send({ case: 'updateWorker', value: { status: WorkerStatus.WS_AVAILABLE, load: 0 } });
    return worker;
  }

  async stop(): Promise<void> {
    this.#socket.close();
    await Promise.all([...this.jobs.values()].map(({ leave }) => leave(JobStatus.JS_SUCCESS)));
  }

  #send(message: { case: string; value: object }): void {
    this.#socket.send(
      WorkerMessage.fromJson({
        [message.case]: JSON.parse(JSON.stringify(message.value)),
      } as never).toBinary(),
    );
  }

  #handle(message: ServerMessage['message']): void {
    if (message.case === 'availability') {
      const jobId = message.value.job!.id;
      this.#send({
        case: 'availability',
        value: { jobId, available: true, participantIdentity: `agent-${jobId}`, participantName: 'agent' },
      });
    } else if (message.case === 'assignment') {
      const { job, token } = message.value;
      this.taken++;
      void this.#take(job!.id, token).catch(() => this.jobs.get(job!.id)?.leave(JobStatus.JS_FAILED));
    } else if (message.case === 'termination') {
      void this.jobs.get(message.value.jobId)?.leave(JobStatus.JS_SUCCESS);
    }
  }

  async #take(jobId: string, token: string): Promise<void> {
    const sampleRate = 8_000;
    const room = new Room({ name: jobId });
    const source = new AudioSource({ sampleRate, numChannels: 1, queueSizeMs: 100 });
    let left = false;
    const leave = async (status: JobStatus) => {
      if (left) return;
      left = true;
      this.jobs.delete(jobId);
      source.close();
      await room.disconnect();
      this.#report(jobId, status);
    };
    this.jobs.set(jobId, { room, source, leave });
    room.onEvent = (event) => {
      const isAlone = event.type === 'participantDisconnected' && !this.staysToTheEnd;
      if (isAlone || event.type === 'disconnected') void leave(JobStatus.JS_SUCCESS);
    };
    await room.connect(this.#url, token);
    if (left) await room.disconnect();
    if (!this.speaks || left) return;
    await room.localParticipant.publishAudio(source, { dtx: false, red: false });
    const tone = makeTone(1_000, 1_000, sampleRate, -12).samples;
    for (let at = 0; !left; at = (at + 80) % tone.length) {
      const data = tone.subarray(at, at + 80);
      await source.captureFrame({ data, sampleRate, numChannels: 1, samplesPerChannel: 80 });
    }
  }

  #report(jobId: string, status: JobStatus): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(
      new WorkerMessage({
        message: { case: 'updateJob', value: new UpdateJobStatus({ jobId, status }) },
      }).toBinary(),
    );
  }
}
