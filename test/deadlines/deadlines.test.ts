import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  type Deadlines,
  deadlineVariable,
  defaultDeadlinesMs,
  resolveDeadlines,
} from '../../src/deadlines/index.js';

const names = Object.keys(defaultDeadlinesMs) as (keyof Deadlines)[];

test('the program decides, then the environment, then the default', () => {
  const environment = { OFFHOOK_DNS_TIMEOUT_MS: '700', OFFHOOK_TLS_TIMEOUT_MS: '800' };
  expect(resolveDeadlines({ dns: 70 }, environment)).toEqual({ ...defaultDeadlinesMs, dns: 70, tls: 800 });
});

test('variables are named after the deadlines', () => {
  expect((['dns', 'candidateUrl', 'nextUrlAfter', 'filterLoad'] as const).map(deadlineVariable)).toEqual([
    'OFFHOOK_DNS_TIMEOUT_MS',
    'OFFHOOK_CANDIDATE_URL_TIMEOUT_MS',
    'OFFHOOK_NEXT_URL_AFTER_MS',
    'OFFHOOK_FILTER_LOAD_TIMEOUT_MS',
  ]);
});

test('what is no number of milliseconds is refused and named', () => {
  for (const value of ['soon', '', '0', '-1', 'NaN', '1e300', ' ']) {
    expect(() => resolveDeadlines({}, { OFFHOOK_DNS_TIMEOUT_MS: value })).toThrow(
      /OFFHOOK_DNS_TIMEOUT_MS is .* not a deadline/,
    );
  }
  expect(() => resolveDeadlines({ join: Number.NaN }, {})).toThrow('deadlines.join');
});

test('docs/deadlines.md has a row with the default and the variable of each deadline, and no other', () => {
  const page = readFileSync(new URL('../../docs/deadlines.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` +\| ([\d ]+) ms +\| `(\w+)` +\|/gm)].map(
    ([, name, ms, variable]) => [name, Number(ms!.replaceAll(' ', '')), variable],
  );
  expect(rows).toEqual(names.map((name) => [name, defaultDeadlinesMs[name], deadlineVariable(name)]));
});
