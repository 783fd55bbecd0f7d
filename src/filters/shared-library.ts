import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { OffhookError } from '../errors/index.js';

/** @throws OffhookError `OFFHOOK_FILTER` when the package by which native plugins are called is not installed */
export function checkNativeCalls(): void {
  try {
    createRequire(import.meta.url).resolve('koffi');
  } catch (cause) {
    throw new OffhookError(
      'OFFHOOK_FILTER',
      'native filters need the package koffi, which is not installed',
      {
        stage: 'filter-load',
        advice: 'Run: npm install koffi',
        cause,
      },
    );
  }
}

/** First bytes of ELF, Mach-O (64-bit, and several architectures in one file) and PE files. */
const magics = ['7f454c46', 'cffaedfe', 'cafebabe', '4d5a'];

/**
 * Checks what can be known of a library without running any of it.
 * @throws OffhookError `OFFHOOK_FILTER` saying what is wrong with the path
 */
export function checkSharedLibrary(path: string, role: 'plugin' | 'dependency'): void {
  const refuse = (why: string, cause?: unknown) =>
    new OffhookError('OFFHOOK_FILTER', `filter ${role} ${path} ${why}`, { stage: 'filter-load', cause });
  let first: string;
  try {
    if (!statSync(path).isFile()) throw refuse('is not a file');
    const file = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(4);
      readSync(file, bytes, 0, 4, 0);
      first = bytes.toString('hex');
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof OffhookError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw refuse(missing ? 'does not exist' : 'cannot be read', error);
  }
  if (!magics.some((magic) => first.startsWith(magic))) throw refuse('is not a shared library');
}
