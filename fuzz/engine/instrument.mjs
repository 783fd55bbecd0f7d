// Loaded with --import: counts which blocks of the compiled engine run, and collects its literals as words for mutations.
import { register } from 'node:module';
import { counterCount } from './hooks.mjs';

globalThis.offhookFuzz = { counters: new Uint8Array(counterCount), literals: new Set() };
register('./hooks.mjs', import.meta.url);
