// node scripts/python-sdk-tests.mjs CHECKOUT [--only WORDS]: runs the tests of LiveKit's own Python SDK, of which CHECKOUT is a
// checkout, on the native engine and on offhook against one livekit-server, and prints those that differ.
//
// The tests come from the checkout, the code from the `livekit` package of .tools/python.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
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

/** By name of test: its outcome (passed, failed, skipped), and why it failed. */
async function run(engine, server) {
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
  // Not synchronously: livekit-server stops answering when nobody reads what it prints. Apart from the checkout, whose sources
  // would hide the installed package.
  const pytest = spawn(python, [...args, ...only, '--import-mode=importlib', ...folders], {
    cwd: tmpdir(),
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: testTimeoutMs,
  });
  await once(pytest, 'exit');
  if (!existsSync(report)) throw new Error(`pytest wrote no report on ${engine}`);
  const cases = [
    ...readFileSync(report, 'utf8').matchAll(
      /<testcase classname="([^"]*)" name="([^"]*)"[^>]*?(\/>|>([\s\S]*?)<\/testcase>)/g,
    ),
  ];
  return new Map(
    cases.map(([, file, name, , body = '']) => [
      `${file}.${name}`,
      {
        outcome: /<(failure|error)/.test(body) ? 'failed' : body.includes('<skipped') ? 'skipped' : 'passed',
        reason: /<(?:failure|error) message="([^"]*)"/.exec(body)?.[1] ?? '',
      },
    ]),
  );
}

const server = await startLivekitServer();
try {
  const native = await run('native', server);
  const offhook = await run('offhook', server);
  const count = (results, outcome) =>
    [...results.values()].filter((result) => result.outcome === outcome).length;
  for (const [engine, results] of Object.entries({ native, offhook })) {
    console.log(
      `${engine}: ${count(results, 'passed')} passed, ${count(results, 'failed')} failed, ${count(results, 'skipped')} skipped`,
    );
  }
  for (const [name, { outcome }] of native) {
    const { outcome: ours, reason } = offhook.get(name) ?? { reason: 'it was not run' };
    if (outcome === 'passed' && ours !== 'passed') console.log(`only native: ${name}: ${reason}`);
    if (outcome !== 'passed' && ours === 'passed') console.log(`only offhook: ${name}`);
  }
} finally {
  await server.stop();
}
