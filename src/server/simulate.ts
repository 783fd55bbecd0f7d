import { DisconnectReason, LeaveRequest_Action, type SimulateScenario } from '@livekit/protocol';
import { limits } from './limits.js';
import type { Participant } from './participant.js';
import type { Room } from './room.js';
import { startTimeout } from './timers.js';

/** Plays a failure that a client asked for, so that programs can be tested against it. */
export function simulate(room: Room, participant: Participant, { scenario }: SimulateScenario): void {
  switch (scenario.case) {
    case 'speakerUpdate':
      pretendToSpeak(room, participant, scenario.value);
      break;
    case 'migration':
      participant.requestReconnect(LeaveRequest_Action.RESUME, DisconnectReason.MIGRATION);
      break;
    case 'leaveRequestFullReconnect':
      participant.requestReconnect(LeaveRequest_Action.RECONNECT, DisconnectReason.MIGRATION);
      break;
    case 'nodeFailure':
      // Gone without a word, as with a machine that fails.
      participant.socket?.terminate();
      participant.socket = undefined;
      room.remove(participant, DisconnectReason.SERVER_SHUTDOWN);
      break;
    case 'serverLeave':
      room.remove(participant, DisconnectReason.SERVER_SHUTDOWN);
      break;
    case 'disconnectSignalOnResume':
    case 'disconnectSignalOnResumeNoMessages':
      participant.dropsNextResume = true;
      break;
    default:
      break;
  }
}

function pretendToSpeak(room: Room, participant: Participant, seconds: number): void {
  const { sid, boundary } = participant;
  const announce = (active: boolean) => {
    room.announceSpeakers([{ sid, active, level: active ? 0.9 : 0 }]);
  };
  announce(true);
  // One for each participant, however often it asks; its end ends it.
  participant.pretence?.cancel();
  participant.pretence = startTimeout(
    boundary.name,
    Math.min(seconds, limits.simulatedSpeechS.value) * 1000,
    () => announce(false),
    { keepsProcess: false },
  );
}
