import { randomUUID } from 'node:crypto';
import { MuteTrackRequest, type SubscribedQualityUpdate, TrackPublishedResponse } from '@livekit/protocol';
import { untilAborted, withDeadline } from '../../deadlines/index.js';
import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger, type Logger } from '../../logging/index.js';
import type { Session } from '../connection/session.js';
import { SentAudioTrack } from '../media/sent-audio-track.js';
import type { SentTrack } from '../media/sent-track.js';
import { SentVideoTrack } from '../media/sent-video-track.js';
import type { PublishAudioOptions, PublishVideoOptions } from '../options.js';
import type { RoomContext } from '../room-context.js';
import { type LocalAudioTrack, LocalVideoTrack } from './local-track.js';

const log = createLogger('room/tracks');

/** The tracks that the program publishes, through all sessions of its room. */
export class LocalTracks {
  #context: RoomContext;
  #log: Logger;
  /** By sid. */
  #published = new Map<string, SentTrack>();

  constructor(context: RoomContext) {
    this.#context = context;
    this.#log = log.about(context.subject);
  }

  get(sid: string): SentTrack | undefined {
    return this.#published.get(sid);
  }

  /** By sid. */
  get all(): ReadonlyMap<string, SentTrack> {
    return this.#published;
  }

  /**
   * Publishes a track, on another session if the one it began on is lost. Resolves when the server has taken it; sending
   * begins as soon as media is up.
   */
  publish(
    track: LocalAudioTrack | LocalVideoTrack,
    options: PublishAudioOptions | PublishVideoOptions,
  ): Promise<SentTrack> {
    return withDeadline(
      {
        stage: 'publish',
        timeoutMs: this.#context.requests.timeoutMs,
        what: `publishing track ${track.name}`,
        advice: 'The server did not answer: read its log, and check that the room is connected.',
      },
      async (signal) => {
        for (;;) {
          const session = await this.#context.connection.whenConnected(signal);
          const sent = this.#sent(track, options, `TR_${randomUUID()}`);
          try {
            await this.#publishOn(session, sent, signal);
            this.#adopt(sent);
            this.#context.dispatch({ type: 'localTrackAdded', track: sent.info });
            void this.#send(session, sent);
            return sent;
          } catch (error) {
            sent.removeFrom(session.publisher);
            if (signal.aborted || this.#context.connection.session === session) {
              session.publisher.negotiate();
              throw error;
            }
            this.#log.info(
              `track ${track.name} will be published on the new session: ${describeError(error)}`,
            );
          }
        }
      },
    );
  }

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` when no track with that sid is published */
  unpublish(sid: string): void {
    const sent = this.#published.get(sid);
    if (!sent) throw new OffhookError('OFFHOOK_INVALID_REQUEST', `no track ${sid} is published`);
    this.#published.delete(sid);
    this.#release(sent);
    const session = this.#context.connection.session;
    if (session) {
      sent.removeFrom(session.publisher);
      session.publisher.negotiate();
    } else sent.stop();
    this.#context.dispatch({ type: 'localTrackUnpublished', sid });
  }

  /** A new session is there: publishes on it what was published before. */
  async republish(session: Session, signal: AbortSignal): Promise<void> {
    const before = [...this.#published];
    await Promise.all(
      before.map(async ([previousSid, { track, options, cid }]) => {
        const sent = this.#sent(track, options, cid);
        try {
          const until = await this.#publishOn(session, sent, signal);
          await sent.start(until);
          if (!this.#published.delete(previousSid)) {
            // It was unpublished meanwhile, and the server has taken it.
            sent.removeFrom(session.publisher);
            session.publisher.negotiate();
            return;
          }
          this.#adopt(sent);
          this.#context.dispatch({ type: 'localTrackRepublished', previousSid, track: sent.info });
        } catch (error) {
          if (signal.aborted || session.signal.aborted) throw error;
          this.#log.error(`track ${track.name} could not be published again: ${describeError(error)}`);
          this.#drop(session, sent, previousSid);
        }
      }),
    );
  }

  /** For SyncState. */
  publishedTracks(): TrackPublishedResponse[] {
    return [...this.#published.values()].map(
      ({ cid, info }) => new TrackPublishedResponse({ cid, track: info }),
    );
  }

  /** The server muted a track, or the state says so for another reason. */
  setMuted(sid: string, muted: boolean): void {
    this.#published.get(sid)?.track.setMuted(muted);
  }

  /** The server says which qualities of a video track anybody watches (dynacast). */
  setWatched(update: SubscribedQualityUpdate): void {
    const sent = this.#published.get(update.trackSid);
    if (sent instanceof SentVideoTrack) sent.setWatched(update);
  }

  /** The session is gone: nothing is sent until the next one. */
  suspend(): void {
    for (const sent of this.#published.values()) sent.stop();
  }

  close(): void {
    for (const sent of this.#published.values()) {
      sent.stop();
      this.#release(sent);
    }
    this.#published.clear();
  }

  /** Sends a track that the server has taken. One that cannot be sent is unpublished: the program hears of it so. */
  async #send(session: Session, sent: SentTrack): Promise<void> {
    const { sid } = sent.info;
    try {
      await sent.start(session.signal);
    } catch (error) {
      // It was unpublished, or goes on over the next session.
      if (session.signal.aborted || this.#published.get(sid) !== sent) return;
      this.#log.error(`track ${sent.track.name} cannot be sent: ${describeError(error)}`);
      this.#drop(session, sent, sid);
    }
  }

  #drop(session: Session, sent: SentTrack, sid: string): void {
    this.#published.delete(sid);
    this.#release(sent);
    sent.removeFrom(session.publisher);
    session.publisher.negotiate();
    this.#context.dispatch({ type: 'localTrackUnpublished', sid });
  }

  /**
   * Resolves when the server has taken the track.
   *
   * @returns what aborts when it can be sent no more
   */
  async #publishOn(session: Session, sent: SentTrack, signal: AbortSignal): Promise<AbortSignal> {
    await sent.prepare();
    const { requests } = this.#context;
    const request = sent.request();
    const answer = requests.trackAnswer(request);
    const until = AbortSignal.any([signal, session.signal]);
    try {
      session.send({ case: 'addTrack', value: request });
      sent.addTo(session.publisher);
      // A server that publishes fast takes the offer right behind the request; others want to have answered first.
      if (session.join.fastPublish) session.publisher.negotiate();
      sent.info = await untilAborted(answer, until);
      until.throwIfAborted();
      if (!session.join.fastPublish) session.publisher.negotiate();
      return until;
    } finally {
      requests.forgetTrack(sent.cid);
    }
  }

  #sent(
    track: LocalAudioTrack | LocalVideoTrack,
    options: PublishAudioOptions | PublishVideoOptions,
    cid: string,
  ): SentTrack {
    const { random, encryption: shared, subject, state } = this.#context;
    const encryption = shared && { encryption: shared, identity: state()?.local.identity ?? '' };
    // Each kind of track comes with the options of its kind, as the typed API has it.
    return track instanceof LocalVideoTrack
      ? new SentVideoTrack(track, options as PublishVideoOptions, cid, random, encryption, subject)
      : new SentAudioTrack(track, options as PublishAudioOptions, cid, random, encryption);
  }

  #adopt(sent: SentTrack): void {
    const { track } = sent;
    const { sid } = sent.info;
    this.#published.set(sid, sent);
    track.sid = sid;
    track.onMute = (muted) => {
      const value = new MuteTrackRequest({ sid, muted });
      this.#context.connection.send({ case: 'mute', value });
      this.#context.dispatch({ type: 'localTrackMuted', sid, muted });
    };
  }

  #release({ track }: SentTrack): void {
    track.sid = undefined;
    track.onMute = undefined;
  }
}
