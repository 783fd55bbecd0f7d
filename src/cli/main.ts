#!/usr/bin/env node
import { createRequire } from 'node:module';
import { Command, CommanderError } from 'commander';
import { describeError } from '../errors/index.js';
import { registerDemo } from './demo.js';
import { registerDev } from './dev.js';
import { registerDoctor } from './doctor.js';
import { registerSip } from './sip.js';
import { registerToken } from './token.js';
import { exitCodeFor } from './usage.js';

const { version, description } = createRequire(import.meta.url)('../../package.json') as {
  version: string;
  description: string;
};

const program = new Command('offhook').description(description).version(version);
registerDemo(program);
registerDev(program);
registerDoctor(program);
registerSip(program);
registerToken(program);

// Thrown, not exited with: what is wrong with a command has an exit code of its own.
for (const command of [program, ...program.commands]) command.exitOverride();

program.parseAsync().catch((error: unknown) => {
  // Commander has printed its own.
  if (!(error instanceof CommanderError)) console.error(`offhook: ${describeError(error)}`);
  process.exitCode = exitCodeFor(error);
});
