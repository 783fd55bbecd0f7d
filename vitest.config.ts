import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Each file gets its own process, and with it its own descriptors, memory and unhandled errors.
    pool: 'forks',
    // The tests start servers, agents and native engines; more at once than cores makes their clocks lie.
    maxWorkers: 2,
    // Real engines in real time on a shared machine: its own stall fails a test once, a fault fails it twice. The
    // report names what was run again.
    retry: process.env.CI ? 1 : 0,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 5_000,
  },
});
