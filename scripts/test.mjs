// npm test [-- words]: sets up, then runs the tests of each folder of test/ that a word names; any other word selects the
// tests whose path contains it. Without words, all of them.
// The last line is `N passed, N failed`. With CI set, a skipped test is a failure: there everything must be installed.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { howToGetParts } from './parts.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const report = `${root}/out/test.json`;
const run = (...args) => spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;

const isTestFolder = (word) => /^\w+$/.test(word) && existsSync(`${root}/test/${word}`);

const setUp = run('scripts/setup.mjs');
if (setUp !== 0) process.exit(setUp);

rmSync(report, { force: true });
const status = run(
  'node_modules/vitest/vitest.mjs',
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...process.argv.slice(2).map((word) => (isTestFolder(word) ? `test/${word}/` : word)),
);
if (!existsSync(report)) process.exit(status || 1);

const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
const tests = testResults.flatMap((file) => file.assertionResults);
const count = (...states) => tests.filter((test) => states.includes(test.status)).length;
// A file that failed to load has no tests of its own to count.
const brokenFiles = testResults.filter(
  (file) => file.status === 'failed' && file.assertionResults.length === 0,
);
const passed = count('passed');
const failed = count('failed') + brokenFiles.length;
const skipped = tests.filter((test) => test.status !== 'passed' && test.status !== 'failed');
const skipsFail = Boolean(process.env.CI);

for (const test of skipped) console.log(`skipped: ${test.fullName}`);
if (skipped.length > 0 && !skipsFail)
  console.log(`${skipped.length} skipped: see above for what each one needs. To get it: ${howToGetParts()}`);
// A table of cases whose values do not reach the name: nobody can tell which case failed.
const unnamed = tests.filter(({ fullName }) => /\bundefined\b/.test(fullName));
for (const test of unnamed) console.log(`has "undefined" in its name: ${test.fullName}`);
console.log(`${passed} passed, ${failed + unnamed.length + (skipsFail ? skipped.length : 0)} failed`);
process.exit(status !== 0 || unnamed.length > 0 || (skipsFail && skipped.length > 0) ? 1 : 0);
