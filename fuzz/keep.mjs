// node fuzz/keep.mjs [TARGET...]    copies inputs that earlier runs kept and that add coverage to the seed corpus
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { targetNames } from './run.mjs';

/** For each target: the corpus is part of the repository, and runs before anything else. */
const maxKeptBytes = 12_000;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The names of `inputs` that add coverage to the seeds of `target`, when they run one after another. */
function adding(target, inputs) {
  const folder = mkdtempSync(join(tmpdir(), 'offhook-fuzz-'));
  try {
    writeFileSync(
      join(folder, 'inputs.json'),
      JSON.stringify(inputs.map((input) => input.toString('base64'))),
    );
    const args = ['--expose-gc', '--import', here('./engine/instrument.mjs'), here('./engine/loop.mjs')];
    const { stdout } = spawnSync(process.execPath, [...args, target, 'merge', '0', folder], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    return JSON.parse(stdout.split('\n').findLast((line) => line.startsWith('{"adds"'))).adds;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

for (const target of process.argv.length > 2 ? process.argv.slice(2) : targetNames()) {
  const found = here(`../out/fuzz/${target}/corpus`);
  if (!existsSync(found)) continue;
  const seeds = here(`./corpus/${target}`);
  mkdirSync(seeds, { recursive: true });
  let left =
    maxKeptBytes - readdirSync(seeds).reduce((sum, file) => sum + readFileSync(join(seeds, file)).length, 0);
  const inputs = readdirSync(found)
    .map((file) => readFileSync(join(found, file)))
    .sort((a, b) => a.length - b.length);
  let kept = 0;
  for (const at of adding(target, inputs)) {
    const input = inputs[at];
    if (input.length > left) break;
    left -= input.length;
    kept += 1;
    writeFileSync(join(seeds, createHash('sha256').update(input).digest('hex').slice(0, 16)), input);
  }
  console.log(`${target}: ${kept} of ${inputs.length} inputs kept`);
}
