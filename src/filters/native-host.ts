import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describeError, outsideText } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import { AnsweringHost, filterError } from './answering-host.js';
import type { FilterHost, FilterHostEvents, FilterStreamOptions } from './filter-host.js';
import {
  decodeControl,
  encodeControl,
  type FrameMessage,
  headerBytes,
  MessageReader,
  messageTypes,
  writeMessage,
} from './frame-protocol.js';
import { hostEnvironment } from './host-environment.js';
import { bytesOf, type Samples, samplesOf } from './samples.js';

export interface NativeHostOptions {
  pluginPath: string;
  /** Libraries loaded before it, in order. */
  dependencies: readonly string[];
  /** What the program's environment adds to ours. */
  environment?: Readonly<Record<string, string>>;
  /** Where the host's compiled script lies; default: beside this file. */
  hostEntry: URL;
}

const slabBytes = 64 * 1024;

const log = createLogger('filters/native-host');

/** A child process that holds one native plugin. */
export class NativeHost extends AnsweringHost<Record<string, unknown>> implements FilterHost {
  #child: ChildProcess;
  #control: Socket;
  #frames: Socket;
  /** Memory that messages are written to one after the other: the socket may hold what it was given for a while. */
  #slab = new DataView(new ArrayBuffer(0));
  /** Between these lies what the socket was not given yet. */
  #slabStart = 0;
  #slabEnd = 0;

  constructor(options: NativeHostOptions, events: FilterHostEvents) {
    super(events);
    const { pluginPath, dependencies, environment, hostEntry } = options;
    const hostArguments = JSON.stringify({ parentPid: process.pid, pluginPath, dependencies });
    // What the plugin prints goes to stderr: stdout belongs to the program.
    this.#child = spawn(process.execPath, [fileURLToPath(hostEntry), hostArguments], {
      stdio: ['ignore', 2, 2, 'pipe', 'pipe'],
      env: hostEnvironment({ ...process.env, ...environment }),
      windowsHide: true,
    });
    this.#control = this.#child.stdio[3] as Socket;
    this.#frames = this.#child.stdio[4] as Socket;
    this.#child.on('error', (error) => this.end(`its host did not start: ${error.message}`, false));
    this.#child.on('exit', (code, signal) => this.end(describeExit(code, signal), false));
    this.#listen(this.#control, (message) => this.#onControl(decodeControl(message)));
    this.#listen(this.#frames, (message) => this.#onFrame(message));
    // A host keeps no program alive.
    this.#child.unref();
    for (const socket of [this.#control, this.#frames]) socket.unref();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async load(url: string, token: string): Promise<void> {
    const { code } = await this.#ask({ op: 'onLoad', url, token });
    if (code !== 0) {
      throw filterError(
        `its on_load returned ${code}: it accepts no session at ${url} (many plugins work with LiveKit Cloud only)`,
      );
    }
  }

  updateToken(url: string, token: string): void {
    this.#send({ op: 'updateToken', url, token });
  }

  async createStream(slot: number, options: FilterStreamOptions): Promise<void> {
    const { inputRate, outputRate, optionsJson, streamInfoJson } = options;
    await this.#ask({
      op: 'create',
      slot,
      inputRate,
      outputRate,
      options: optionsJson,
      streamInfo: streamInfoJson,
    });
  }

  process(slot: number, sequence: number, frame: Samples, outputLength: number): void {
    const format = frame instanceof Float32Array ? 'float' : 'int16';
    this.#write({
      type: messageTypes.process,
      format,
      stream: slot,
      sequence,
      value: outputLength,
      payload: bytesOf(frame),
    });
  }

  updateStreamInfo(slot: number, streamInfoJson: string): void {
    this.#write({
      type: messageTypes.streamInfo,
      format: 'int16',
      stream: slot,
      sequence: 0,
      value: 0,
      payload: Buffer.from(streamInfoJson, 'utf8'),
    });
  }

  destroyStream(slot: number): void {
    this.#write({
      type: messageTypes.destroy,
      format: 'int16',
      stream: slot,
      sequence: 0,
      value: 0,
      payload: new Uint8Array(0),
    });
  }

  protected stop(): void {
    this.#child.kill('SIGKILL');
    this.#control.destroy();
    this.#frames.destroy();
  }

  #listen(socket: Socket, onMessage: (message: FrameMessage) => void): void {
    const reader = new MessageReader();
    socket.on('data', (chunk) => {
      if (this.ended) return;
      try {
        for (const message of reader.push(chunk)) onMessage(message);
      } catch (error) {
        this.end(`its host sent garbage: ${describeError(error)}`, false);
      }
    });
    // The child's exit says more than the end of a socket does.
    socket.on('error', (error) => log.debug(`error on the socket of a filter process: ${error.message}`));
  }

  #onControl(reply: Record<string, unknown>): void {
    if (reply.event === 'refused') {
      this.end(String(reply.error), true);
      return;
    }
    if (reply.event === 'opened') this.events.onOpened({ separateRates: reply.separateRates === true });
    if (typeof reply.id === 'number') {
      this.answer(reply.id, reply, reply.error === undefined ? undefined : String(reply.error));
    }
  }

  #onFrame({ type, format, stream, sequence, value, payload }: FrameMessage): void {
    if (type === messageTypes.processed) {
      this.events.onFrame(stream, sequence, samplesOf(payload, format));
    } else if (type === messageTypes.failed) {
      const reason = Buffer.from(payload).toString('utf8');
      // Memory of the host was overwritten: what it answers from now on means nothing.
      if (value === 1) this.end(reason, false);
      else this.events.onFrameFailed(stream, sequence, outsideText(reason));
    }
  }

  #ask(request: Record<string, unknown>): Promise<Record<string, unknown>> {
    return this.request((id) => this.#send({ id, ...request }));
  }

  #send(value: Record<string, unknown>): void {
    if (!this.ended) this.#control.write(encodeControl(value));
  }

  /** Frames of one turn of the event loop leave, and wake the host, together. */
  #write(message: FrameMessage): void {
    if (this.ended) return;
    const bytes = headerBytes + message.payload.byteLength;
    if (this.#slabEnd + bytes > this.#slab.byteLength) {
      this.#flush();
      this.#slab = new DataView(new ArrayBuffer(Math.max(slabBytes, bytes)));
      this.#slabStart = this.#slabEnd = 0;
    }
    if (this.#slabStart === this.#slabEnd) queueMicrotask(() => this.#flush());
    this.#slabEnd = writeMessage(this.#slab, this.#slabEnd, message);
  }

  #flush(): void {
    if (this.ended || this.#slabStart === this.#slabEnd) return;
    this.#frames.write(new Uint8Array(this.#slab.buffer, this.#slabStart, this.#slabEnd - this.#slabStart));
    this.#slabStart = this.#slabEnd;
  }
}

function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  return signal ? `its process was ended by ${signal}` : `its process exited with code ${code}`;
}
