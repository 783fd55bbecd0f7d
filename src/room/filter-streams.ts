import type { FrameFilter } from '../audio/index.js';
import type { Timeline } from '../timeline/index.js';
import type { RoomFilter, RoomFilters, StreamInfo } from './options.js';

/** What of a stream's information may change while the stream is open. */
type RoomPart = Omit<StreamInfo, 'url' | 'trackId' | 'participantIdentity'>;

interface OpenFilter {
  filter: RoomFilter;
  info: StreamInfo;
}

interface FilterStreamsOptions {
  filters: RoomFilters;
  /** The one that the program gave: filters know the room by it. */
  url: string;
  token: string;
  timeline: Timeline;
  loadDeadlineMs: number;
  joined: Promise<unknown>;
  /** What is known now of the room and of a participant. */
  describe: (participantIdentity: string) => RoomPart;
}

/** The filters of one room's streams, from its connecting to its end. */
export class FilterStreams {
  #options: FilterStreamsOptions;
  #open = new Set<OpenFilter>();
  #closed = false;

  constructor(options: FilterStreamsOptions) {
    this.#options = options;
    const { filters, url, token, timeline, loadDeadlineMs, joined } = options;
    filters.roomConnecting({ url, token, timeline, loadDeadlineMs, joined });
  }

  create(
    wanted: { moduleId: string; options?: unknown },
    stream: { trackId: string; participantIdentity: string; sampleRate: number; numChannels: number },
  ): FrameFilter {
    const { filters, url, describe, timeline } = this.#options;
    const { moduleId, options } = wanted;
    const { trackId, participantIdentity, sampleRate, numChannels } = stream;
    const info: StreamInfo = { url, ...describe(participantIdentity), participantIdentity, trackId };
    const filter = filters.create(moduleId, {
      sampleRate,
      numChannels,
      optionsJson: options === undefined ? '' : JSON.stringify(options),
      streamInfo: info,
      subject: timeline.subject,
    });
    const open = { filter, info };
    this.#open.add(open);
    return {
      inputRate: filter.inputRate,
      outputRate: filter.outputRate,
      process: (frame, done) => filter.process(frame, done),
      close: () => {
        this.#open.delete(open);
        filter.close();
      },
    };
  }

  /** Tells the filters whose room or participant is known by other names now. */
  update(): void {
    for (const open of this.#open) {
      const now = { ...open.info, ...this.#options.describe(open.info.participantIdentity) };
      if (JSON.stringify(now) === JSON.stringify(open.info)) continue;
      open.info = now;
      open.filter.updateStreamInfo(now);
    }
  }

  updateToken(token: string): void {
    this.#options.filters.updateToken(this.#options.url, token);
  }

  /** The room is over; its streams end by themselves. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.filters.roomClosed(this.#options.url);
  }
}
