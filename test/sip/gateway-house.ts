import { AudioSource, type AudioStream } from '../../src/audio/index.js';
import { type RoomServer, startServer } from '../../src/server/index.js';
import type { CallRecord } from '../../src/sip/index.js';
import { SipGateway, type SipGatewayOptions, sipService } from '../../src/sip/index.js';
import { RemoteAudioTrack, Room, type RoomEvent } from '../support/engine.js';
import { makeToken } from '../support/token.mjs';
import { makeTone, type Pcm } from '../support/tone.js';
import { until } from './until.js';

export const devKeys = { apiKey: 'devkey', apiSecret: 'secret' };

/** A room server and a SIP gateway in this process, and agents that tests bring into its rooms. */
export class GatewayHouse {
  readonly server: RoomServer;
  readonly gateway: SipGateway;
  /** Calls that are over. */
  readonly records: CallRecord[] = [];
  readonly #agents: Agent[] = [];

  private constructor(server: RoomServer, gateway: SipGateway, records: CallRecord[]) {
    this.server = server;
    this.gateway = gateway;
    this.records = records;
  }

  static async open(options: Partial<SipGatewayOptions> = {}): Promise<GatewayHouse> {
    const records: CallRecord[] = [];
    let gateway: SipGateway | undefined;
    const services = { 'livekit.SIP': sipService(() => gateway!) };
    const server = await startServer({ port: 0, services, departureTimeoutS: 1 });
    gateway = await SipGateway.open({
      port: 0,
      room: { url: server.url, ...devKeys },
      onCallEnded: (record) => records.push(record),
      ...options,
    });
    return new GatewayHouse(server, gateway, records);
  }

  /** An agent in `room`: silent until it `speaks`. */
  async agent(room: string, identity = 'agent'): Promise<Agent> {
    const agent = new Agent();
    await agent.join(this.server.url, room, identity);
    this.#agents.push(agent);
    return agent;
  }

  /** Waits until nothing is left of any call. */
  async quiet(): Promise<void> {
    await until(() => {
      const { calls, dialogs } = this.gateway.counts();
      return calls === 0 && dialogs === 0;
    }, 'no call and no dialog is left');
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) await agent.leave();
    await this.gateway.close();
    await this.server.close();
  }
}

/** A participant that says a tone and records whoever it hears. */
export class Agent {
  readonly room = new Room();
  readonly events: RoomEvent[] = [];
  /** What the phone said, at 16 kHz. */
  readonly heard: number[] = [];
  /** Digits that the phone pressed. */
  digits = '';
  #source: AudioSource | undefined;
  #stream: AudioStream | undefined;
  #speaking = false;

  async join(url: string, room: string, identity: string): Promise<void> {
    this.room.onEvent = (event) => this.#follow(event);
    await this.room.connect(url, await makeToken({ url, ...devKeys }, room, identity));
  }

  /** Publishes a tone, which goes on until the agent leaves. */
  async speak(hz: number, dbfs = -12): Promise<void> {
    const sampleRate = 48_000;
    const source = new AudioSource({ sampleRate, numChannels: 1, queueSizeMs: 100 });
    this.#source = source;
    await this.room.localParticipant.publishAudio(source, { dtx: false });
    this.#speaking = true;
    const second = makeTone(hz, 1_000, sampleRate, dbfs).samples;
    void (async () => {
      for (let at = 0; this.#speaking; at = (at + 480) % second.length) {
        const data = second.subarray(at, at + 480);
        await source.captureFrame({ data, sampleRate, numChannels: 1, samplesPerChannel: 480 });
      }
    })().catch(() => {});
  }

  /** The SIP participant's attributes, as this agent sees them. */
  attributes(): Readonly<Record<string, string>> {
    const phone = [...this.room.remoteParticipants.values()].find(({ identity }) =>
      identity.startsWith('sip'),
    );
    return phone?.attributes ?? {};
  }

  recording(): Pcm {
    return { samples: Int16Array.from(this.heard), sampleRate: 16_000 };
  }

  async leave(): Promise<void> {
    this.#speaking = false;
    this.#stream?.close();
    await this.room.disconnect();
    this.#source?.close();
  }

  #follow(event: RoomEvent): void {
    this.events.push(event);
    if (event.type === 'dataPacketReceived' && event.value.case === 'sipDtmf')
      this.digits += event.value.digit;
    if (event.type !== 'trackSubscribed' || !(event.track instanceof RemoteAudioTrack)) return;
    this.#stream?.close();
    this.#stream = event.track.openStream({
      sampleRate: 16_000,
      numChannels: 1,
      onFrame: ({ data }) => {
        for (const sample of data) this.heard.push(sample);
      },
      onEnd: () => {},
    });
  }
}
