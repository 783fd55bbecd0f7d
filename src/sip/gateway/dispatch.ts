import { createHash, randomBytes } from 'node:crypto';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { RoomConfiguration, type SIPDispatchRuleInfo, type SIPInboundTrunkInfo } from '@livekit/protocol';

/** A call as trunks and rules look at it. */
export interface CallFacts {
  /** IP address that the INVITE came from. */
  sourceAddress: string;
  callingNumber: string;
  calledNumber: string;
  /** LiveKit's id of the call. */
  callId: string;
}

/** Where a call leads: a room, and who the caller is in it. */
export interface Dispatched {
  ruleId: string;
  room: string;
  /** The room is this call's alone: nobody else can know its name yet. */
  isOwnRoom: boolean;
  identity: string;
  name: string;
  metadata: string;
  attributes: Record<string, string>;
  roomPreset: string;
  roomConfig: RoomConfiguration | undefined;
}

export type DispatchResult =
  | { kind: 'room'; dispatched: Dispatched }
  | { kind: 'pin' }
  | { kind: 'none'; reason: string };

/** E.164 numbers compare with or without their plus sign. */
function normalize(number: string): string {
  return number === '' || number.startsWith('+') ? number : `+${number}`;
}

function includesNumber(numbers: readonly string[], number: string): boolean {
  return numbers.some((candidate) => normalize(candidate) === normalize(number));
}

/** Whether an address is one of those listed, or in one of the networks (`10.0.0.0/8`). */
export function matchesAddress(address: string, allowed: readonly string[]): boolean {
  if (allowed.length === 0) return true;
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  for (const entry of allowed) {
    const [network, prefix] = entry.split('/');
    if (isIP(network!) === 0) continue;
    const type = isIPv6(network!) ? 'ipv6' : 'ipv4';
    const bits = Number(prefix);
    const longest = type === 'ipv4' ? 32 : 128;
    if (prefix === undefined) list.addAddress(network!, type);
    else if (/^\d+$/.test(prefix) && bits <= longest) list.addSubnet(network!, bits, type);
  }
  return list.check(address, family);
}

/**
 * The trunk that a call belongs to: one that has the called number, or else the one for all numbers (as LiveKit
 * matches them). Undefined when there is none, or several with equal right.
 */
export function matchTrunk(
  trunks: Iterable<SIPInboundTrunkInfo>,
  { sourceAddress, callingNumber, calledNumber }: CallFacts,
): SIPInboundTrunkInfo | undefined {
  const fitting = [...trunks].filter(
    ({ allowedNumbers, allowedAddresses }) =>
      (allowedNumbers.length === 0 || includesNumber(allowedNumbers, callingNumber)) &&
      matchesAddress(sourceAddress, allowedAddresses),
  );
  const specific = fitting.filter(({ numbers }) => includesNumber(numbers, calledNumber));
  const chosen = specific.length > 0 ? specific : fitting.filter(({ numbers }) => numbers.length === 0);
  return chosen.length === 1 ? chosen[0] : undefined;
}

/** The room (or its prefix) and PIN of a rule. */
function roomAndPin({ rule }: SIPDispatchRuleInfo): { room: string; pin: string } | undefined {
  switch (rule?.rule.case) {
    case 'dispatchRuleDirect':
      return { room: rule.rule.value.roomName, pin: rule.rule.value.pin };
    case 'dispatchRuleIndividual':
    case 'dispatchRuleCallee':
      return { room: rule.rule.value.roomPrefix, pin: rule.rule.value.pin };
    default:
      return undefined;
  }
}

/** Rules with a PIN come before open ones, and those for certain callers before those for all. */
function priority(info: SIPDispatchRuleInfo): number {
  const order = { dispatchRuleDirect: 0, dispatchRuleIndividual: 1, dispatchRuleCallee: 2 };
  const kind = info.rule?.rule.case;
  const open = roomAndPin(info)?.pin === '' ? 100 : 0;
  return (kind ? order[kind] : 9) + open + (info.inboundNumbers.length === 0 ? 1_000 : 0);
}

/**
 * The rule for a call of `trunk`, and what it says.
 *
 * @param pin what the caller entered; undefined before being asked, empty when they entered none
 */
export function dispatch(
  rules: Iterable<SIPDispatchRuleInfo>,
  trunk: SIPInboundTrunkInfo | undefined,
  facts: CallFacts,
  pin?: string,
): DispatchResult {
  const fitting = [...rules].filter((info) => {
    const { inboundNumbers, numbers } = info;
    if (inboundNumbers.length > 0 && !inboundNumbers.includes(facts.callingNumber)) return false;
    if (numbers.length > 0 && !includesNumber(numbers, facts.calledNumber)) return false;
    const rulePin = roomAndPin(info)?.pin;
    if (rulePin === undefined) return false;
    if (pin === '') return rulePin === '';
    return pin === undefined || rulePin === pin;
  });
  const ofTrunk = fitting.filter(({ trunkIds }) => trunk && trunkIds.includes(trunk.sipTrunkId));
  const general = fitting.filter(({ trunkIds }) => trunkIds.length === 0);
  const [best] = (ofTrunk.length > 0 ? ofTrunk : general).sort((a, b) => priority(a) - priority(b));
  if (!best) return { kind: 'none', reason: 'No trunk or dispatch rule matches' };
  if (roomAndPin(best)!.pin !== '' && pin === undefined) return { kind: 'pin' };
  return { kind: 'room', dispatched: dispatchedBy(best, trunk, facts) };
}

function dispatchedBy(
  rule: SIPDispatchRuleInfo,
  trunk: SIPInboundTrunkInfo | undefined,
  { callingNumber, calledNumber, callId }: CallFacts,
): Dispatched {
  const hidden = rule.hidePhoneNumber;
  const shown = hidden ? callingNumber.slice(callingNumber.length <= 4 ? -1 : -4) : callingNumber;
  return {
    ruleId: rule.sipDispatchRuleId,
    room: roomName(rule, shown, calledNumber),
    isOwnRoom: hasOwnRoom(rule),
    identity: phoneIdentity(callingNumber, hidden),
    name: `Phone ${shown}`,
    metadata: rule.metadata,
    attributes: {
      ...rule.attributes,
      'sip.callID': callId,
      'sip.trunkID': trunk?.sipTrunkId ?? '',
      'sip.ruleID': rule.sipDispatchRuleId,
      ...(hidden ? {} : { 'sip.phoneNumber': callingNumber, 'sip.trunkPhoneNumber': calledNumber }),
    },
    roomPreset: rule.roomPreset,
    roomConfig: roomConfigOf(rule),
  };
}

/** Who a telephone is in a room; a number that is hidden cannot be read from it. */
export function phoneIdentity(number: string, hidden: boolean): string {
  const shown = hidden ? createHash('sha256').update(number).digest('hex').slice(0, 16) : number;
  return `sip_${shown || 'anonymous'}`;
}

/** Whether each call of the rule gets a room of its own. */
function hasOwnRoom({ rule }: SIPDispatchRuleInfo): boolean {
  if (rule?.rule.case === 'dispatchRuleIndividual') return !rule.rule.value.noRandomness;
  return rule?.rule.case === 'dispatchRuleCallee' && rule.rule.value.randomize;
}

/**
 * A caller's own room is over when the caller has left it: what the rule does not say otherwise closes it a second later,
 * and the agent's job with it.
 */
function roomConfigOf(rule: SIPDispatchRuleInfo): RoomConfiguration | undefined {
  if (!hasOwnRoom(rule)) return rule.roomConfig;
  const own = rule.roomConfig?.clone() ?? new RoomConfiguration();
  if (own.departureTimeout === 0) own.departureTimeout = 1;
  return own;
}

const randomName = (): string => randomBytes(9).toString('base64url').replace(/[-_]/g, 'x');

function roomName({ rule }: SIPDispatchRuleInfo, caller: string, callee: string): string {
  switch (rule?.rule.case) {
    case 'dispatchRuleIndividual': {
      const { roomPrefix, noRandomness } = rule.rule.value;
      return noRandomness ? `${roomPrefix}_${caller}` : `${roomPrefix}_${caller}_${randomName()}`;
    }
    case 'dispatchRuleCallee': {
      const { roomPrefix, randomize } = rule.rule.value;
      const name = roomPrefix === '' ? callee : `${roomPrefix}_${callee}`;
      return randomize ? `${name}_${randomName()}` : name;
    }
    default:
      return rule?.rule.value?.roomName ?? '';
  }
}

/** What is wrong with a rule by itself. */
export function ruleProblem(info: SIPDispatchRuleInfo): string | undefined {
  const found = roomAndPin(info);
  if (!found) return 'no dispatch rule was given';
  if (info.rule?.rule.case === 'dispatchRuleDirect' && found.room === '') return 'the rule names no room';
  return /^\d{0,16}$/.test(found.pin) ? undefined : 'a PIN has up to 16 digits';
}

/** Two rules for the same trunk, caller and PIN, of which neither could be chosen. */
export function findRuleConflict(rules: readonly SIPDispatchRuleInfo[]): string | undefined {
  const other = findTwice(rules, ruleKeys);
  return other && `the rule says otherwise than ${nameOf(other.sipDispatchRuleId)} for the same calls`;
}

function ruleKeys(info: SIPDispatchRuleInfo): string[] {
  const pin = roomAndPin(info)?.pin ?? '';
  const { trunkIds, inboundNumbers, numbers } = info;
  return orAny(trunkIds).flatMap((trunk) =>
    orAny(inboundNumbers).flatMap((caller) =>
      orAny(numbers).map((called) => [pin, trunk, normalize(caller), normalize(called)].join(' ')),
    ),
  );
}

/** Two trunks for the same called and calling numbers. */
export function findTrunkConflict(trunks: readonly SIPInboundTrunkInfo[]): string | undefined {
  const other = findTwice(trunks, ({ numbers, allowedNumbers }) =>
    orAny(numbers).flatMap((called) =>
      orAny(allowedNumbers).map((caller) => `${normalize(called)} ${normalize(caller)}`),
    ),
  );
  return other && `the trunk takes the same calls as ${nameOf(other.sipTrunkId)}`;
}

/** A list that names nothing is for everything. */
const orAny = (list: readonly string[]): readonly string[] => (list.length > 0 ? list : ['']);

/** The first of `entries` that has a key which a later one has too. */
function findTwice<Entry>(entries: readonly Entry[], keysOf: (entry: Entry) => string[]): Entry | undefined {
  const seen = new Map<string, Entry>();
  for (const entry of entries) {
    for (const key of new Set(keysOf(entry))) {
      const other = seen.get(key);
      if (other) return other;
      seen.set(key, entry);
    }
  }
  return undefined;
}

const nameOf = (id: string): string => (id === '' ? 'another new one' : id);
