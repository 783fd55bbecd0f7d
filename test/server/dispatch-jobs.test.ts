import { JobState, JobType } from '@livekit/protocol';
import { expect, test } from 'vitest';
import type { AgentWorkers } from '../../src/server/agents/agent-workers.js';
import { Dispatcher } from '../../src/server/agents/dispatcher.js';
import { limits } from '../../src/server/limits.js';
import type { Participant } from '../../src/server/participant.js';
import { Rooms } from '../../src/server/rooms.js';

test('participants that come and go leave no more than so many jobs behind, and none that still runs is forgotten', async () => {
  let assigned = 0;
  const workers = {
    onCapacity: () => {},
    onJobsLost: () => {},
    terminate: () => {},
    // The first job goes on, all others end at once.
    assign: async (job: { state?: JobState }) => {
      job.state = new JobState({ endedAt: assigned++ === 0 ? 0n : 1n });
      return true;
    },
  };
  const dispatcher = new Dispatcher(workers as unknown as AgentWorkers);
  const defaults = { emptyTimeoutS: 60, departureTimeoutS: 60, maxParticipants: 0 };
  const { room } = new Rooms(defaults, dispatcher).open('r');
  const guest = { isDependent: false, info: () => undefined } as unknown as Participant;
  const sessions = 3 * limits.jobsOfDispatch.value;
  for (let i = 0; i < sessions; i++) dispatcher.onParticipantJoined(room, guest);
  await expect.poll(() => assigned).toBe(sessions + 1);
  const jobs = dispatcher.list(room)[0]!.state!.jobs;
  expect(jobs).toHaveLength(limits.jobsOfDispatch.value);
  expect(jobs[0]).toMatchObject({ type: JobType.JT_ROOM, state: { endedAt: 0n } });
  room.close(1);
});
