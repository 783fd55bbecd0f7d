// node scripts/python-sdk-tests.mjs CHECKOUT [--only WORDS]: runs the tests of LiveKit's own Python SDK, of which CHECKOUT is a
// checkout, on the native engine and on offhook against one livekit-server, and prints those that differ.
//
// The tests come from the checkout, the code from the `livekit` package of .tools/python.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startLivekitServer } from '../test/support/livekit-server.mjs';
import { pythonEnvironment } from '../test/support/program.mjs';
import { python } from './python-tools.mjs';

const testTimeoutMs = 600_000;
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string', default: '' } },
});
const checkout = resolve(positionals[0] ?? '');
const folders = ['tests/rtc', 'livekit-rtc/tests'].map((folder) => join(checkout, folder));
if (!positionals[0] || !folders.every((folder) => existsSync(folder))) {
  console.error('usage: node scripts/python-sdk-tests.mjs CHECKOUT-OF-LIVEKIT-PYTHON-SDKS');
  process.exit(2);
}

/** Outcome by name of test: passed, failed, skipped. */
function run(engine, server) {
  const report = join(mkdtempSync(join(tmpdir(), 'offhook-sdk-tests-')), 'report.xml');
  const env = pythonEnvironment(engine, {
    LIVEKIT_URL: server.url,
    LIVEKIT_API_KEY: server.apiKey,
    LIVEKIT_API_SECRET: server.apiSecret,
    OFFHOOK_LOG: 'error',
  });
  const only = values.only ? ['-k', values.only] : [];
  const args = [
    '-m',
    'pytest',
    '-q',
    '-x',
    '--maxfail=1000',
    '-p',
    'no:cacheprovider',
    '-o',
    'asyncio_mode=auto',
    `--junitxml=${report}`,
  ];
  // Apart from the checkout, whose sources would hide the installed package.
  spawnSync(python, [...args, ...only, '--import-mode=importlib', ...folders], {
    cwd: tmpdir(),
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: testTimeoutMs,
  });
  if (!existsSync(report)) throw new Error(`pytest wrote no report on ${engine}`);
  const cases = [
    ...readFileSync(report, 'utf8').matchAll(
      /<testcase classname="([^"]*)" name="([^"]*)"[^>]*?(\/>|>([\s\S]*?)<\/testcase>)/g,
    ),
  ];
  return new Map(
    cases.map(([, file, name, , body = '']) => [
      `${file}.${name}`,
      /<(failure|error)/.test(body) ? 'failed' : body.includes('<skipped') ? 'skipped' : 'passed',
    ]),
  );
}

const server = await startLivekitServer();
try {
  const native = run('native', server);
  const offhook = run('offhook', server);
  const count = (results, outcome) => [...results.values()].filter((result) => result === outcome).length;
  for (const [engine, results] of Object.entries({ native, offhook })) {
    console.log(
      `${engine}: ${count(results, 'passed')} passed, ${count(results, 'failed')} failed, ${count(results, 'skipped')} skipped`,
    );
  }
  for (const [name, outcome] of native) {
    if (outcome === 'passed' && offhook.get(name) !== 'passed') console.log(`only native: ${name}`);
    if (outcome !== 'passed' && offhook.get(name) === 'passed') console.log(`only offhook: ${name}`);
  }
} finally {
  await server.stop();
}
