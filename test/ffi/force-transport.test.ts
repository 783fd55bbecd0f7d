import { SimulateScenarioKind } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import { afterEach, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { House } from './house.js';
import { ProtocolRoom } from './protocol-room.js';

describeWith(['livekit-server'], 'a simulated scenario', () => {
  const house = new House();
  let room: ProtocolRoom;
  afterEach(() => room.ffi.dispose());

  /** What the media of the session goes over: of each peer connection the protocol of the pair in use. */
  async function protocols(): Promise<string[]> {
    const { asyncId } = room.ffi.request({
      case: 'getSessionStats',
      value: { roomHandle: room.roomHandle },
    });
    const { message } = await room.ffi.waitFor('getSessionStats', (value) => value.asyncId === asyncId);
    if (message.case !== 'result') throw new Error(String(message.value));
    const entries = [...message.value.publisherStats, ...message.value.subscriberStats].map(
      ({ stats }) => stats,
    );
    const pairsInUse = entries.flatMap((entry) =>
      entry.case === 'transport' ? (entry.value.transport?.selectedCandidatePairId ?? []) : [],
    );
    const localsInUse = entries.flatMap((entry) =>
      entry.case === 'candidatePair' && pairsInUse.includes(entry.value.rtc?.id ?? '')
        ? (entry.value.candidatePair?.localCandidateId ?? [])
        : [],
    );
    return entries.flatMap((entry) =>
      entry.case === 'localCandidate' && localsInUse.includes(entry.value.rtc?.id ?? '')
        ? (entry.value.candidate?.protocol ?? [])
        : [],
    );
  }

  test('that forces TCP brings the session back over TCP', async () => {
    room = new ProtocolRoom();
    await room.connect(house, 'ours');
    await expect.poll(protocols, { timeout: 10_000 }).toContain('udp');
    room.ffi.request({
      case: 'simulateScenario',
      value: { roomHandle: room.roomHandle, scenario: SimulateScenarioKind.SIMULATE_FORCE_TCP },
    });
    await expect.poll(async () => [...new Set(await protocols())], { timeout: 20_000 }).toEqual(['tcp']);
  });
});
