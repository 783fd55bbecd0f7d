import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { InProcess } from './in-process.js';

let ffi: InProcess;
const folder = mkdtempSync(join(tmpdir(), 'offhook-filter-'));
beforeEach(() => {
  ffi = new InProcess();
});
afterEach(() => ffi.dispose());
afterAll(() => rmSync(folder, { recursive: true }));

const load = (pluginPath: string) =>
  ffi.request({
    case: 'loadAudioFilterPlugin',
    value: { pluginPath, dependencies: [], moduleId: 'a filter' },
  }).error;

test('a plugin path that does not exist is an error in the answer', () => {
  expect(load(join(folder, 'none.so'))).toMatch(/none\.so.*OFFHOOK_FILTER/s);
});

test('a plugin that is no shared library is an error in the answer', () => {
  const path = join(folder, 'text.so');
  writeFileSync(path, 'not a library');
  expect(load(path)).toMatch(/text\.so.*OFFHOOK_FILTER/s);
});
