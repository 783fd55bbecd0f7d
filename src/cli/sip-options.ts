import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { OffhookError } from '../errors/index.js';
import {
  type CallRecord,
  ladderPicture,
  loadDirectory,
  SipDirectory,
  type SipGatewayOptions,
} from '../sip/index.js';
import { renderTimelinePage } from '../timeline/index.js';
import { parsePort } from './server-options.js';

export interface SipCommandOptions {
  sipPort: number;
  sipHost?: string;
  sipTlsPort: number;
  sipTlsCert?: string;
  sipTlsKey?: string;
  sipExternalAddress?: string;
  sipMediaPorts?: { from: number; to: number };
  sipConfig?: string;
  sipUser: Map<string, string>;
  sipAgentTimeout: number;
  sipAllowCallsTo: string[];
  sipCalls?: string;
  sipEarlyMedia?: boolean;
}

/** The options of a SIP gateway, which `offhook dev --sip` and `offhook sip` share. */
export function addSipOptions(command: Command): Command {
  return command
    .option('--sip-port <port>', 'port of SIP over UDP and TCP', parsePort, 5060)
    .option(
      '--sip-host <address>',
      'address to listen on for SIP and its media (default: as --host, or 127.0.0.1)',
    )
    .option('--sip-tls-port <port>', 'port of SIP over TLS, with --sip-tls-cert', parsePort, 5061)
    .option('--sip-tls-cert <file>', 'certificate for SIP over TLS (PEM)')
    .option('--sip-tls-key <file>', 'key of the certificate (PEM)')
    .option('--sip-external-address <address>', 'address that telephones see, behind a NAT')
    .option('--sip-media-ports <from-to>', 'UDP ports of media (default: 20000-39998)', parsePortRange)
    .option('--sip-config <file>', 'JSON file with trunks, dispatch rules, registrations and users')
    .option(
      '--sip-user <name:password>',
      'a softphone that may log in; may be repeated',
      collectUser,
      new Map(),
    )
    .option('--sip-agent-timeout <seconds>', 'how long a caller hears ringing before 480', parseSeconds, 30)
    .option(
      '--sip-allow-calls-to <prefix>',
      'beginning of numbers that may be called; may be repeated',
      collect,
      [],
    )
    .option('--sip-early-media', 'send callers the ringing as audio before the answer (183 instead of 180)')
    .option('--sip-calls <folder>', 'write a page about each call into this folder');
}

/** The options as the gateway takes them. */
export function gatewayOptions(options: SipCommandOptions, host: string): Omit<SipGatewayOptions, 'room'> {
  const directory = new SipDirectory();
  const { registrations = [], users = new Map<string, string>() } = options.sipConfig
    ? loadDirectory(options.sipConfig, directory)
    : {};
  for (const [name, password] of options.sipUser) users.set(name, password);
  const folder = options.sipCalls;
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  return {
    host: options.sipHost ?? host,
    port: options.sipPort,
    ...tlsOf(options),
    ...(options.sipExternalAddress ? { externalAddress: options.sipExternalAddress } : {}),
    ...(options.sipMediaPorts ? { mediaPorts: options.sipMediaPorts } : {}),
    directory,
    users,
    registrations,
    times: { agentMs: options.sipAgentTimeout * 1_000 },
    allowedDestinations: options.sipAllowCallsTo,
    earlyMedia: options.sipEarlyMedia ?? false,
    ...(folder === undefined ? {} : { onCallEnded: (record) => writeCallPage(record, folder) }),
  };
}

function tlsOf(options: SipCommandOptions): Pick<SipGatewayOptions, 'tls'> {
  const { sipTlsCert, sipTlsKey, sipTlsPort } = options;
  if (sipTlsCert === undefined && sipTlsKey === undefined) return {};
  if (sipTlsCert === undefined || sipTlsKey === undefined) {
    throw invalid('--sip-tls-cert and --sip-tls-key belong together', 'Give both, or neither.');
  }
  return { tls: { port: sipTlsPort, cert: readFileSync(sipTlsCert), key: readFileSync(sipTlsKey) } };
}

/** The timeline and the messages of a call that has ended, as a page. */
function writeCallPage(record: CallRecord, folder: string): void {
  const { callId, direction, from, to, outcome, timeline } = record;
  const page = renderTimelinePage([timeline], {
    title: `Call ${callId}`,
    summary: `${direction} from ${from} to ${to}: ${outcome}`,
    sections: [{ heading: 'Messages of the call', html: ladderPicture(record) }],
  });
  writeFileSync(join(folder, `${callId}.html`), page);
  writeFileSync(join(folder, `${callId}.json`), `${JSON.stringify(record, null, 2)}\n`);
}

function collect(text: string, before: string[]): string[] {
  return [...before, text];
}

function collectUser(text: string, before: Map<string, string>): Map<string, string> {
  const colon = text.indexOf(':');
  if (colon < 1)
    throw invalid(`"${text}" does not name a user and a password`, 'Give them as name:password.');
  return new Map([...before, [text.slice(0, colon), text.slice(colon + 1)]]);
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 600) return seconds;
  throw invalid(`"${text}" is not a time to wait`, 'Give a number of seconds up to 600.');
}

function parsePortRange(text: string): { from: number; to: number } {
  const [, from, to] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  const range = { from: Number(from), to: Number(to) };
  if (range.from >= 1_024 && range.to <= 65_535 && range.to - range.from >= 3) return range;
  throw invalid(`"${text}" is not a range of ports`, 'Give one such as 20000-29999, above 1023.');
}

function invalid(message: string, advice: string): OffhookError {
  return new OffhookError('OFFHOOK_INVALID_REQUEST', message, { advice });
}
