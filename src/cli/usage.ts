import { CommanderError } from 'commander';
import { type ErrorCode, OffhookError } from '../errors/index.js';

/** The command itself is wrong or cannot be carried out. 1 means that what it tested failed. */
export const usageExitCode = 2;

const usageCodes: readonly ErrorCode[] = [
  'OFFHOOK_INVALID_REQUEST',
  'OFFHOOK_INVALID_URL',
  'OFFHOOK_INVALID_TOKEN',
];

/** The exit code for what ended a command. */
export function exitCodeFor(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExitCode;
  return error instanceof OffhookError && usageCodes.includes(error.code) ? usageExitCode : 1;
}
