// Full reconnects in a room of two on the native engine: after which of them the listener does not hear the speaker again.
import { SimulateScenarioKind } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import { startParticipant } from './program.mjs';
import { makeToken } from './token.mjs';

const heardWithinMs = 20_000;

/** A speaker and a listener, in a room of their own. */
class Pair {
  /** @param {{ url: string, apiKey: string, apiSecret: string }} server */
  static async join(server, room, options) {
    const pair = new Pair();
    pair.speaker = startParticipant('native');
    pair.listener = startParticipant('native');
    for (const [identity, program] of [
      ['listener', pair.listener],
      ['speaker', pair.speaker],
    ]) {
      const token = await makeToken(server, room, identity);
      await program.call('connect', { url: server.url, token, options }, 30_000);
    }
    await pair.speaker.call('publishTone', { hz: 440 });
    await pair.heardAgain(0);
    return pair;
  }

  get heard() {
    return this.listener.events.filter(({ event }) => event === 'firstAudible').length;
  }

  /** Resolves when another track is heard after `count` of them; rejects when none is. */
  async heardAgain(count) {
    const endMs = performance.now() + heardWithinMs;
    while (this.heard <= count) {
      if (performance.now() > endMs) throw new Error('the listener does not hear the speaker again');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  stop() {
    return Promise.all([this.speaker.stop(), this.listener.stop()]);
  }
}

/**
 * Reconnects `count` times, the listener and the speaker in turn.
 *
 * @param {{ url: string, apiKey: string, apiSecret: string }} server
 * @param {string} room
 * @param {number} count
 * @param {{ singlePeerConnection?: boolean }} [options] how the participants connect
 * @returns {Promise<{ who: string, events: object[] }[]>} who reconnected when the listener was lost, and what it saw since
 */
export async function lostAfterReconnects(server, room, count, options = { singlePeerConnection: false }) {
  const lost = [];
  let pair = await Pair.join(server, `${room} 0`, options);
  for (let i = 0; i < count; i++) {
    const who = i % 2 === 0 ? 'listener' : 'speaker';
    const { heard } = pair;
    const since = pair.listener.events.length;
    try {
      await pair[who].call('simulate', { scenario: SimulateScenarioKind.SIMULATE_FULL_RECONNECT });
      await pair.heardAgain(heard);
    } catch {
      lost.push({ who, events: pair.listener.events.slice(since) });
      await pair.stop();
      pair = await Pair.join(server, `${room} ${i + 1}`, options);
    }
  }
  await pair.stop();
  return lost;
}
