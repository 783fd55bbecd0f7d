import { readFileSync } from 'node:fs';
import {
  type ListUpdate,
  SIPDispatchRuleInfo,
  type SIPDispatchRuleUpdate,
  SIPInboundTrunkInfo,
  type SIPInboundTrunkUpdate,
  SIPOutboundTrunkInfo,
  type SIPOutboundTrunkUpdate,
} from '@livekit/protocol';
import { describeError, OffhookError } from '../../errors/index.js';
import { newSid } from '../../server/index.js';
import { limits } from '../limits.js';
import { findRuleConflict, findTrunkConflict, ruleProblem } from './dispatch.js';

/** A login at a provider that calls come from. */
export interface ProviderRegistration {
  /** `sip:provider.example`, with `;transport=tcp` or `tls` where needed. */
  registrar: string;
  username: string;
  password: string;
  /** Name in the address of record, where it is not the user name. */
  user?: string;
  expiresS?: number;
}

/** Something that may not be in the directory. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
  readonly code: 'invalid_argument' | 'not_found' | 'resource_exhausted';

  constructor(code: DirectoryError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** Trunks and dispatch rules: which calls are taken, where they lead, and where calls may go out. */
export class SipDirectory {
  readonly inbound = new Map<string, SIPInboundTrunkInfo>();
  readonly outbound = new Map<string, SIPOutboundTrunkInfo>();
  readonly rules = new Map<string, SIPDispatchRuleInfo>();

  /** @throws DirectoryError */
  addInbound(trunk: SIPInboundTrunkInfo, id = newSid('ST')): SIPInboundTrunkInfo {
    const checked = this.#checkInbound(trunk, undefined);
    return this.#store(this.inbound, id, checked, (stored) => {
      stored.sipTrunkId = id;
    });
  }

  replaceInbound(id: string, trunk: SIPInboundTrunkInfo): SIPInboundTrunkInfo {
    need(this.inbound, id);
    const checked = this.#checkInbound(trunk, id);
    checked.sipTrunkId = id;
    this.inbound.set(id, checked);
    return checked;
  }

  updateInbound(id: string, change: SIPInboundTrunkUpdate): SIPInboundTrunkInfo {
    const trunk = need(this.inbound, id).clone();
    assignGiven(trunk, change, [
      'name',
      'metadata',
      'authUsername',
      'authPassword',
      'mediaEncryption',
      'media',
    ]);
    trunk.numbers = updatedList(trunk.numbers, change.numbers);
    trunk.allowedAddresses = updatedList(trunk.allowedAddresses, change.allowedAddresses);
    trunk.allowedNumbers = updatedList(trunk.allowedNumbers, change.allowedNumbers);
    return this.replaceInbound(id, trunk);
  }

  addOutbound(trunk: SIPOutboundTrunkInfo, id = newSid('ST')): SIPOutboundTrunkInfo {
    return this.#store(this.outbound, id, checkOutbound(trunk), (stored) => {
      stored.sipTrunkId = id;
    });
  }

  replaceOutbound(id: string, trunk: SIPOutboundTrunkInfo): SIPOutboundTrunkInfo {
    need(this.outbound, id);
    const checked = checkOutbound(trunk);
    checked.sipTrunkId = id;
    this.outbound.set(id, checked);
    return checked;
  }

  updateOutbound(id: string, change: SIPOutboundTrunkUpdate): SIPOutboundTrunkInfo {
    const trunk = need(this.outbound, id).clone();
    const names = [
      'name',
      'metadata',
      'address',
      'transport',
      'destinationCountry',
      'authUsername',
      'authPassword',
      'mediaEncryption',
      'media',
      'fromHost',
    ] as const;
    assignGiven(trunk, change, names);
    trunk.numbers = updatedList(trunk.numbers, change.numbers);
    return this.replaceOutbound(id, trunk);
  }

  addRule(rule: SIPDispatchRuleInfo, id = newSid('SDR')): SIPDispatchRuleInfo {
    return this.#store(this.rules, id, this.#checkRule(rule, undefined), (stored) => {
      stored.sipDispatchRuleId = id;
    });
  }

  replaceRule(id: string, rule: SIPDispatchRuleInfo): SIPDispatchRuleInfo {
    need(this.rules, id);
    const checked = this.#checkRule(rule, id);
    checked.sipDispatchRuleId = id;
    this.rules.set(id, checked);
    return checked;
  }

  updateRule(id: string, change: SIPDispatchRuleUpdate): SIPDispatchRuleInfo {
    const rule = need(this.rules, id).clone();
    assignGiven(rule, change, ['name', 'metadata', 'rule', 'mediaEncryption', 'media']);
    if (Object.keys(change.attributes).length > 0) rule.attributes = { ...change.attributes };
    rule.trunkIds = updatedList(rule.trunkIds, change.trunkIds);
    return this.replaceRule(id, rule);
  }

  /** Removes a trunk of either kind, or both halves of one. */
  deleteTrunk(id: string): void {
    if (!this.inbound.has(id)) need(this.outbound, id);
    this.inbound.delete(id);
    this.outbound.delete(id);
  }

  deleteRule(id: string): SIPDispatchRuleInfo {
    const rule = need(this.rules, id);
    this.rules.delete(id);
    return rule;
  }

  #checkInbound(trunk: SIPInboundTrunkInfo, id: string | undefined): SIPInboundTrunkInfo {
    const { numbers, allowedAddresses, authUsername, authPassword } = trunk;
    if ((authUsername === '') !== (authPassword === '')) {
      throw new DirectoryError(
        'invalid_argument',
        'a trunk needs both a user name and a password, or neither',
      );
    }
    if (numbers.length === 0 && allowedAddresses.length === 0 && authUsername === '') {
      throw new DirectoryError(
        'invalid_argument',
        'for security, one of the fields must be set: numbers, allowed addresses, or user name and password',
      );
    }
    const copy = trunk.clone();
    copy.sipTrunkId = id ?? '';
    const others = [...this.inbound.values()].filter((other) => other.sipTrunkId !== id);
    const conflict = findTrunkConflict([...others, copy]);
    if (conflict !== undefined) throw new DirectoryError('invalid_argument', conflict);
    return copy;
  }

  #checkRule(rule: SIPDispatchRuleInfo, id: string | undefined): SIPDispatchRuleInfo {
    const problem = ruleProblem(rule);
    if (problem !== undefined) throw new DirectoryError('invalid_argument', problem);
    const copy = rule.clone();
    copy.sipDispatchRuleId = id ?? '';
    const others = [...this.rules.values()].filter((other) => other.sipDispatchRuleId !== id);
    const conflict = findRuleConflict([...others, copy]);
    if (conflict !== undefined) throw new DirectoryError('invalid_argument', conflict);
    return copy;
  }

  #store<Entry>(table: Map<string, Entry>, id: string, entry: Entry, name: (entry: Entry) => void): Entry {
    const { value } = limits.trunksAndRules;
    if (table.size >= value) {
      throw new DirectoryError('resource_exhausted', `there are ${value} of these already`);
    }
    name(entry);
    table.set(id, entry);
    return entry;
  }
}

function checkOutbound(trunk: SIPOutboundTrunkInfo): SIPOutboundTrunkInfo {
  const { address, numbers } = trunk;
  if (address === '') throw new DirectoryError('invalid_argument', 'no trunk address was given');
  if (/[;\s<>]|^sips?:/i.test(address)) {
    throw new DirectoryError(
      'invalid_argument',
      `trunk address "${address}" must be a host, with a port where needed; the protocol is set by "transport"`,
    );
  }
  if (numbers.length === 0) throw new DirectoryError('invalid_argument', 'no trunk numbers were given');
  return trunk.clone();
}

function need<Entry>(table: ReadonlyMap<string, Entry>, id: string): Entry {
  const entry = table.get(id);
  if (!entry) throw new DirectoryError('not_found', `nothing has the id "${id}"`);
  return entry;
}

function updatedList(list: readonly string[], change: ListUpdate | undefined): string[] {
  if (!change) return [...list];
  if (change.clear) return [];
  if (change.set.length > 0) return [...change.set];
  const kept = list.filter((value) => !change.remove.includes(value));
  return [...new Set([...kept, ...change.add])];
}

function assignGiven<Target extends object, Name extends keyof Target>(
  target: Target,
  change: Partial<Record<Name, Target[Name] | undefined>>,
  names: readonly Name[],
): void {
  for (const name of names) {
    const value = change[name];
    if (value !== undefined) target[name] = value as Target[Name];
  }
}

/** What a file says: trunks and rules as LiveKit's API has them, logins at providers, and who may log in here. */
export interface SipFile {
  registrations: ProviderRegistration[];
  /** Passwords of softphones by user name. */
  users: Map<string, string>;
}

const fileKeys = ['inboundTrunks', 'outboundTrunks', 'dispatchRules', 'registrations', 'users'];

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads trunks and rules from a JSON file into `directory`.
 *
 * @throws OffhookError `OFFHOOK_INVALID_REQUEST` that names what is wrong
 */
export function loadDirectory(path: string, directory: SipDirectory): SipFile {
  const refuse = (what: string, cause?: unknown) =>
    new OffhookError('OFFHOOK_INVALID_REQUEST', `${path}: ${what}`, {
      cause,
      advice: 'docs/sip.md shows what the file may hold.',
    });
  const read = (): unknown => {
    try {
      return JSON.parse(readFileSync(path, 'utf8'));
    } catch (error) {
      throw refuse(`cannot be read: ${describeError(error)}`, error);
    }
  };
  const content = read();
  if (!isRecord(content)) throw refuse('holds no object');
  // A name that is misspelt would leave out a trunk, or everybody's password.
  const unknown = Object.keys(content).find((name) => !fileKeys.includes(name));
  if (unknown !== undefined) throw refuse(`"${unknown}" is none of ${fileKeys.join(', ')}`);
  const { users = {} } = content;
  if (!isRecord(users)) throw refuse('"users" is no object with a password for each name');
  for (const [name, password] of Object.entries(users)) {
    if (typeof password !== 'string') throw refuse(`the password of the user "${name}" is no text`);
  }
  const list = (name: string): unknown[] => {
    const value = content[name] ?? [];
    if (!Array.isArray(value)) throw refuse(`"${name}" is no list`);
    return value;
  };
  const each = (name: string, add: (json: never) => void) => {
    for (const [i, json] of list(name).entries()) {
      try {
        add(json as never);
      } catch (error) {
        throw refuse(`${name}[${i}]: ${describeError(error)}`, error);
      }
    }
  };
  const idOf = (json: Record<string, string | undefined>, name: string) =>
    json[name] ?? json[name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)];
  each('inboundTrunks', (json) =>
    directory.addInbound(SIPInboundTrunkInfo.fromJson(json), idOf(json, 'sipTrunkId')),
  );
  each('outboundTrunks', (json) =>
    directory.addOutbound(SIPOutboundTrunkInfo.fromJson(json), idOf(json, 'sipTrunkId')),
  );
  each('dispatchRules', (json) =>
    directory.addRule(SIPDispatchRuleInfo.fromJson(json), idOf(json, 'sipDispatchRuleId')),
  );
  const registrations = list('registrations') as ProviderRegistration[];
  for (const [i, entry] of registrations.entries()) {
    for (const name of ['registrar', 'username', 'password'] as const) {
      if (typeof entry?.[name] !== 'string') throw refuse(`registrations[${i}]: "${name}" is missing`);
    }
  }
  return { registrations, users: new Map(Object.entries(users as Record<string, string>)) };
}
