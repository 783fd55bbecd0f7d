import { CandidateProtocol, SimulateScenario } from '@livekit/protocol';
import type { Connection } from './connection/connection.js';

/** What `Room.simulate` can bring about, as LiveKit's SimulateScenario names it. */
export type SimulatedScenario =
  | 'signalReconnect'
  | 'fullReconnect'
  | 'speaker'
  | 'nodeFailure'
  | 'serverLeave'
  | 'migration'
  | 'forceTcp'
  | 'forceTls'
  | 'disconnectSignalOnResume';

const serverScenarios: Record<
  Exclude<SimulatedScenario, 'signalReconnect' | 'fullReconnect'>,
  SimulateScenario['scenario']
> = {
  speaker: { case: 'speakerUpdate', value: 3 },
  nodeFailure: { case: 'nodeFailure', value: true },
  serverLeave: { case: 'serverLeave', value: true },
  migration: { case: 'migration', value: true },
  forceTcp: { case: 'switchCandidateProtocol', value: CandidateProtocol.TCP },
  forceTls: { case: 'switchCandidateProtocol', value: CandidateProtocol.TLS },
  disconnectSignalOnResume: { case: 'disconnectSignalOnResume', value: true },
};

/** Brings about a failure, here or at the server. */
export function simulate(connection: Connection, scenario: SimulatedScenario): void {
  if (scenario === 'signalReconnect') connection.simulate('signalLost');
  else if (scenario === 'fullReconnect') connection.simulate('leaveReconnect');
  else {
    const value = new SimulateScenario({ scenario: serverScenarios[scenario] });
    connection.send({ case: 'simulate', value });
  }
  if (scenario === 'disconnectSignalOnResume') connection.simulate('signalLost');
  // The next session of this participant gets candidates of that kind alone.
  if (scenario === 'forceTcp' || scenario === 'forceTls') connection.simulate('leaveReconnect');
}
