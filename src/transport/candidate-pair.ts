import type * as Addon from 'node-datachannel';
import type { IcePath } from './ice-agent.js';

export interface CandidatePair {
  local: { address: string; port: number; type: string; protocol: string };
  remote: { address: string; port: number; type: string; protocol: string };
}

export function pairOfPath({ protocol, local, remote }: IcePath): CandidatePair {
  const relayed = protocol === 'relay';
  const transport = relayed ? 'udp' : protocol;
  return {
    local: { address: '', port: 0, ...local, type: relayed ? 'relay' : 'host', protocol: transport },
    remote: { ...remote, type: 'host', protocol: transport },
  };
}

export function pairOfAddon(pair: {
  local: Addon.SelectedCandidateInfo;
  remote: Addon.SelectedCandidateInfo;
}): CandidatePair {
  const side = ({ address, port, type, transportType }: Addon.SelectedCandidateInfo) => ({
    address,
    port,
    type,
    protocol: transportType.toLowerCase(),
  });
  return { local: side(pair.local), remote: side(pair.remote) };
}
