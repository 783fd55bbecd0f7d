import {
  DeleteRoomRequest,
  DisconnectReason,
  ParticipantInfo_Kind,
  TrackSource,
  TrackType,
} from '@livekit/protocol';
import { AudioSource, type AudioStream, Resampler } from '../../audio/index.js';
import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger, type Logger } from '../../logging/index.js';
import {
  RemoteAudioTrack,
  type RemoteTrack,
  Room,
  type RoomEvent,
  type RoomFilters,
} from '../../room/index.js';
import { signAccess } from '../../server/index.js';
import type { Mixer, MixerInput } from '../media/index.js';
import type { Dispatched } from './dispatch.js';

const log = createLogger('sip/room');
const tokenLifetime = '24h';
/**
 * The phone's audio and the room's sender keep to the same ticks, so that no more than one frame waits. Without a queue a
 * moment in which this process is held up would count as a pause of the speaker.
 */
const queueSizeMs = 50;
/**
 * How long a server may take to let in a caller who has given up. One that never says that it leaves is held by the server
 * as lost, and its agent with it, for longer than that.
 */
const abandonedJoinMs = 10_000;
const deleteRoomMs = 5_000;
/** Waits before a room is deleted again that was not there. */
const deleteAgainMs = [250, 1_000, 3_000];

/** The room server that calls are brought to. */
export interface RoomAccess {
  /** ws(s):// or http(s):// */
  url: string;
  apiKey: string;
  apiSecret: string;
}

export interface RoomLegEvents {
  /** Somebody else is in the room: an agent, as a rule. */
  onParticipant(identity: string): void;
  /** Audio of somebody else can be heard. */
  onAudio(identity: string): void;
  /** Keys that a participant presses towards the phone. */
  onDtmf(digit: string): void;
  /** The room has ended, or the participant was removed from it. */
  onClosed(reason: string): void;
}

/** A caller is heard as it is: filters are the agent's affair. */
const noFilters: RoomFilters = {
  roomConnecting: () => {},
  roomClosed: () => {},
  updateToken: () => {},
  create: () => {
    throw new Error('the gateway opens no filters');
  },
};

/** A telephone call's side in the room: a participant of kind SIP who says what the phone says and hears the others. */
export class RoomLeg {
  readonly #room: Room;
  readonly #events: RoomLegEvents;
  readonly #access: RoomAccess;
  readonly #dispatched: Dispatched;
  readonly #log: Logger;
  #source: AudioSource | undefined;
  #publishing: Promise<void> | undefined;
  #mixer: Mixer | undefined;
  #resampler: { inputRate: number; resampler: Resampler } | undefined;
  readonly #heard = new Map<
    string,
    { track: RemoteAudioTrack; stream: AudioStream; input: MixerInput } | undefined
  >();
  readonly #tracks = new Map<string, RemoteAudioTrack>();
  #left = false;

  private constructor(room: Room, access: RoomAccess, dispatched: Dispatched, events: RoomLegEvents) {
    this.#room = room;
    this.#access = access;
    this.#dispatched = dispatched;
    this.#log = log.about(dispatched);
    this.#events = events;
    room.onEvent = (event) => this.#follow(event);
  }

  /**
   * Joins the room as `dispatched` says.
   *
   * @param signal aborting it while joining gives up: a room of its own is deleted, another is left as soon as the server
   *     has let us in
   * @throws OffhookError as `Room.connect` does; `OFFHOOK_ABORTED`
   */
  static async join(
    access: RoomAccess,
    dispatched: Dispatched,
    events: RoomLegEvents,
    signal: AbortSignal,
  ): Promise<RoomLeg> {
    const token = await tokenFor(access, dispatched);
    const room = new Room({ name: `call ${dispatched.attributes['sip.callID'] ?? ''}`, filters: noFilters });
    const leg = new RoomLeg(room, access, dispatched, events);
    const tooLate = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      // The call's own room is deleted, whoever is in it. We need not join it for that.
      if (dispatched.isOwnRoom) tooLate.abort();
      else timer = setTimeout(() => tooLate.abort(), abandonedJoinMs);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      await room.connect(access.url, token, { signal: tooLate.signal, autoSubscribe: true });
    } catch (error) {
      if (signal.aborted && dispatched.isOwnRoom) void deleteRoom(access, dispatched, { mayOpenLater: true });
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
    if (signal.aborted) {
      leg.abandon();
      throw new OffhookError('OFFHOOK_ABORTED', 'the caller gave up before the room was joined');
    }
    for (const { identity } of room.remoteParticipants.values()) events.onParticipant(identity);
    return leg;
  }

  get room(): Room {
    return this.#room;
  }

  get participantSid(): string {
    return this.#room.localParticipant.sid;
  }

  get attributes(): Readonly<Record<string, string>> {
    return this.#left ? {} : this.#room.localParticipant.attributes;
  }

  /**
   * Publishes what the phone will say. Where something has been published already, a dial tone, the phone speaks on that.
   *
   * @throws OffhookError as `publishAudio` does
   */
  publish(sampleRate: number): Promise<void> {
    this.#publishing ??= this.#publish(sampleRate);
    return this.#publishing;
  }

  async #publish(sampleRate: number): Promise<void> {
    const source = new AudioSource({ sampleRate, numChannels: 1, queueSizeMs });
    this.#source = source;
    await this.#room.localParticipant.publishAudio(source, {
      name: 'sip',
      source: TrackSource.MICROPHONE,
      red: false,
      // Steady tones, which telephone lines have many of, would be taken for noise and not sent.
      dtx: false,
    });
  }

  /** 10 ms that the phone says. Runs a hundred times a second and call. */
  pushAudio(samples: Int16Array, sampleRate: number): void {
    const source = this.#source;
    if (!source || this.#left) return;
    const data = this.#toSourceRate(samples, sampleRate, source.sampleRate);
    const samplesPerChannel = data.length;
    // Nobody waits for room in the queue: what comes is played at the same pace.
    source
      .captureFrame({ data, sampleRate: source.sampleRate, numChannels: 1, samplesPerChannel })
      .catch(ignore);
  }

  /** A telephone that changes its codec in the middle of a call has another rate than was published. */
  #toSourceRate(samples: Int16Array, inputRate: number, outputRate: number): Int16Array {
    if (inputRate === outputRate) return samples;
    if (this.#resampler?.inputRate !== inputRate) {
      const resampler = Resampler.create({ inputRate, outputRate, numChannels: 1, primed: true });
      this.#resampler = { inputRate, resampler };
    }
    return this.#resampler.resampler.push(samples);
  }

  /** Lets the phone hear the others through `mixer`, in place of an earlier one. */
  hearThrough(mixer: Mixer): void {
    if (this.#mixer === mixer) return;
    this.#mixer = mixer;
    for (const sid of [...this.#heard.keys()]) this.#stopHearing(sid);
    for (const [sid, track] of this.#tracks) this.#hear(sid, track);
  }

  /** Tells the room how the call is doing (`sip.callStatus`), or what else is known of it. */
  setAttributes(attributes: Record<string, string>): void {
    if (this.#left) return;
    this.#room.localParticipant
      .setAttributes(attributes)
      .catch((error: unknown) => this.#log.debug(`attributes could not be set: ${describeError(error)}`));
  }

  pressed(code: number, digit: string): void {
    if (this.#left) return;
    this.#room.localParticipant
      .publishDtmf(code, digit)
      .catch((error: unknown) => this.#log.debug(`DTMF could not be sent: ${describeError(error)}`));
  }

  /** Leaves at once; the last attributes are on their way before that. */
  leave(): void {
    if (this.#left) return;
    this.setAttributes({ 'sip.callStatus': 'hangup' });
    this.#left = true;
    for (const sid of [...this.#heard.keys()]) this.#stopHearing(sid);
    this.#source?.close();
    setImmediate(() => void this.#room.disconnect(DisconnectReason.CLIENT_INITIATED));
  }

  /**
   * Leaves because the call came to nothing. A room that was opened for it alone is deleted, so that its agent does not wait
   * there for anybody.
   */
  abandon(): void {
    if (this.#left) return;
    const others = [...this.#room.remoteParticipants.values()];
    this.leave();
    const { isOwnRoom } = this.#dispatched;
    if (!isOwnRoom || others.some(({ info }) => info.kind !== ParticipantInfo_Kind.AGENT)) return;
    void deleteRoom(this.#access, this.#dispatched);
  }

  #follow(event: RoomEvent): void {
    switch (event.type) {
      case 'participantConnected':
        this.#events.onParticipant(event.participantIdentity);
        break;
      case 'trackSubscribed':
        this.#addTrack(event.trackSid, event.track, event.participantIdentity);
        break;
      case 'trackUnsubscribed':
        this.#tracks.delete(event.trackSid);
        this.#stopHearing(event.trackSid);
        break;
      case 'dataPacketReceived':
        if (event.value.case === 'sipDtmf') this.#events.onDtmf(event.value.digit);
        break;
      case 'disconnected':
        if (this.#left) return;
        this.#left = true;
        this.#source?.close();
        this.#events.onClosed(DisconnectReason[event.reason] ?? event.message);
        break;
      default:
    }
  }

  #addTrack(sid: string, track: RemoteTrack, identity: string): void {
    if (!(track instanceof RemoteAudioTrack) || track.publication.kind !== TrackType.AUDIO) return;
    this.#tracks.set(sid, track);
    this.#hear(sid, track);
    this.#events.onAudio(identity);
  }

  #hear(sid: string, track: RemoteAudioTrack): void {
    const mixer = this.#mixer;
    if (!mixer) return;
    const input = mixer.addInput();
    const stream = track.openStream({
      sampleRate: mixer.sampleRate,
      numChannels: 1,
      onFrame: ({ data }) => input.push(data),
      onEnd: () => input.close(),
    });
    this.#heard.set(sid, { track, stream, input });
  }

  #stopHearing(sid: string): void {
    const heard = this.#heard.get(sid);
    this.#heard.delete(sid);
    heard?.stream.close();
    heard?.input.close();
  }
}

function tokenFor({ apiKey, apiSecret }: RoomAccess, dispatched: Dispatched): Promise<string> {
  const { identity, name, metadata, attributes, room, roomConfig, roomPreset } = dispatched;
  return signAccess(apiKey, apiSecret, {
    identity,
    name,
    metadata,
    attributes,
    kind: 'sip',
    grants: {
      roomJoin: true,
      room,
      canPublish: true,
      canSubscribe: true,
      canPublishData: true,
      canUpdateOwnMetadata: true,
    },
    ...(roomConfig ? { roomConfig } : {}),
    ...(roomPreset === '' ? {} : { roomPreset }),
    lifetime: tokenLifetime,
  });
}

/**
 * Deletes a room that nobody waits in any more; never rejects.
 *
 * @param mayOpenLater our request to join may still be on its way, and open the room after it was deleted
 */
async function deleteRoom(
  access: RoomAccess,
  dispatched: Dispatched,
  { mayOpenLater = false } = {},
): Promise<void> {
  const { room } = dispatched;
  try {
    for (const waitMs of mayOpenLater ? deleteAgainMs : []) {
      if (await requestDeletion(access, room)) return;
      await new Promise((resolve) => setTimeout(resolve, waitMs).unref());
    }
    await requestDeletion(access, room);
  } catch (error) {
    log.about(dispatched).debug(`the room could not be deleted: ${describeError(error)}`);
  }
}

/** @returns whether there was such a room */
async function requestDeletion({ url, apiKey, apiSecret }: RoomAccess, room: string): Promise<boolean> {
  const grants = { roomCreate: true };
  const token = await signAccess(apiKey, apiSecret, { identity: 'offhook-sip', grants, lifetime: '1m' });
  const service = new URL(url.replace(/^ws/, 'http'));
  service.pathname = '/twirp/livekit.RoomService/DeleteRoom';
  const answer = await fetch(service, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/protobuf' },
    body: new DeleteRoomRequest({ room }).toBinary(),
    signal: AbortSignal.timeout(deleteRoomMs),
  });
  const text = await answer.text();
  if (answer.ok || answer.status === 404) return answer.ok;
  throw new Error(`the server answered ${answer.status} ${text}`);
}

/** A capture that was waiting when the source was closed. */
const ignore = (): void => {};
