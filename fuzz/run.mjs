// npm run fuzz                        names the targets
// npm run fuzz -- TARGET [SECONDS]    looks for inputs that throw, hang or fill the memory (`all`: one target after another)
// npm run fuzz -- TARGET FILE         runs one input again
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findingExitCode, limits } from './engine/target.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const watchEveryMs = 250;
/** After so many findings a target is left alone. */
const maxFindings = 5;

export function targetNames() {
  return (
    readdirSync(here('./targets'))
      // Those of the fuzzer's own tests are none.
      .filter((file) => file.endsWith('.mjs') && !file.startsWith('test-'))
      .map((file) => basename(file, '.mjs'))
      .sort()
  );
}

/** CPU time of a process in milliseconds, where the system tells. */
function cpuMs(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function currentInput(folder) {
  const bytes = readFileSync(`${folder}/current`);
  const length = bytes.length < 8 ? 0 : bytes.readUInt32LE(4);
  return { execution: bytes.length < 8 ? 0 : bytes.readUInt32LE(0), input: bytes.subarray(8, 8 + length) };
}

/** Kills a process that is busy with one input for too long. Returns what stops watching. */
function watch(child, folder, onHang) {
  let last = { execution: -1, sinceCpuMs: 0 };
  const timer = setInterval(() => {
    const { execution } = currentInput(folder);
    const spentMs = cpuMs(child.pid);
    if (execution !== last.execution) last = { execution, sinceCpuMs: spentMs };
    else if (execution > 0 && spentMs - last.sinceCpuMs > 3 * limits.inputMs) {
      onHang();
      child.kill('SIGKILL');
    }
  }, watchEveryMs);
  return () => clearInterval(timer);
}

/** One process: until its time is up or it finds something. */
async function runOnce(target, seconds, seed, folder, input) {
  const args = [
    '--expose-gc',
    '--max-old-space-size=1024',
    ...['--import', here('./engine/instrument.mjs')],
    here('./engine/loop.mjs'),
    ...[target, String(seconds), String(seed), folder, ...(input === undefined ? [] : [input])],
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let errors = '';
  let hung = false;
  child.stdout.on('data', (text) => {
    out += text;
  });
  child.stderr.on('data', (text) => {
    errors = (errors + text).slice(-20_000);
  });
  const unwatch = watch(child, folder, () => {
    hung = true;
  });
  const code = await new Promise((resolve) => child.once('close', resolve));
  unwatch();
  const said = out.split('\n').findLast((line) => line.startsWith('{'));
  const result = said ? JSON.parse(said) : {};
  if (code === 0) return result;
  const { input: bytes } = currentInput(folder);
  if (code === findingExitCode) return { ...result, input: bytes };
  if (hung) return { finding: 'hang', text: `no end after ${3 * limits.inputMs} ms of CPU`, input: bytes };
  return { finding: 'abort', text: `the process ended with ${code}\n${errors}`, input: bytes };
}

function save(folder, { finding, input }) {
  const hash = createHash('sha256').update(input).digest('hex').slice(0, 16);
  const path = `${folder}/${finding}-${hash}`;
  writeFileSync(path, input);
  return path;
}

/**
 * Fuzzes a target.
 *
 * @returns what was found, and how much was tried
 */
export async function fuzz(target, seconds, seed) {
  const folder = here(`../out/fuzz/${target}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/current`, '');
  const findings = [];
  const startedMs = performance.now();
  let executions = 0;
  let last = {};
  for (let round = 0; findings.length < maxFindings; round++) {
    const left = seconds - (performance.now() - startedMs) / 1000;
    if (round > 0 && left < 1) break;
    const result = await runOnce(target, left, seed + round, folder);
    executions += result.executions ?? currentInput(folder).execution;
    if (!result.finding) {
      last = result;
      break;
    }
    const path = save(folder, result);
    // The same input again: an input of the corpus, which comes first each time.
    if (findings.some((found) => found.path === path)) break;
    findings.push({ ...result, path });
  }
  const elapsedS = (performance.now() - startedMs) / 1000;
  return { target, findings, executions, elapsedS, blocks: last.blocks, corpus: last.corpus };
}

function report({ target, findings, executions, elapsedS, blocks, corpus }) {
  const tried = `${executions} inputs in ${elapsedS.toFixed(1)} s`;
  const reach = blocks === undefined ? '' : `, ${blocks} blocks, ${corpus} inputs kept`;
  console.log(`${target}: ${findings.length === 0 ? 'nothing found' : 'FOUND'} (${tried}${reach})`);
  for (const { finding, text, path } of findings)
    console.log(`  ${finding}: ${text}\n  again: npm run fuzz -- ${target} ${path}`);
}

async function main([wanted, how]) {
  const names = targetNames();
  if (wanted === undefined || (wanted !== 'all' && !names.includes(wanted))) {
    console.log(
      `npm run fuzz -- TARGET [SECONDS | FILE], or all in place of TARGET. Targets: ${names.join(', ')}`,
    );
    process.exitCode = wanted === undefined ? 0 : 2;
    return;
  }
  if (how !== undefined && existsSync(how)) {
    const folder = here(`../out/fuzz/${wanted}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${folder}/current`, '');
    const { finding, text } = await runOnce(wanted, 0, 0, folder, how);
    console.log(finding ? `${finding}: ${text}` : 'this input is dealt with');
    process.exitCode = finding ? 1 : 0;
    return;
  }
  const seconds = Number(how ?? 10);
  if (!(seconds > 0)) throw new Error(`neither seconds nor a file: ${how}`);
  const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);
  console.log(`seed ${seed} (FUZZ_SEED repeats it)`);
  for (const target of wanted === 'all' ? names : [wanted]) {
    const result = await fuzz(target, seconds, seed);
    report(result);
    if (result.findings.length > 0) process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
