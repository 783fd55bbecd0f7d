#!/usr/bin/env node
import { createRequire } from 'node:module';
import { Command } from 'commander';
import { describeError } from '../timeline/index.js';
import { registerDemo } from './demo.js';
import { registerDev } from './dev.js';
import { registerDoctor } from './doctor.js';
import { registerSip } from './sip.js';
import { registerToken } from './token.js';

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

program.parseAsync().catch((error: unknown) => {
  console.error(`offhook: ${describeError(error)}`);
  process.exitCode = 1;
});
