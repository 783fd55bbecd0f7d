// What programs have that a test or a bench steers: commands come as JSON lines `{id, command, ...arguments}` on standard
// input, each is answered by `{reply: id, value}` or `{reply: id, error}`; events are printed as `{event, atMs, ...}` with
// `atMs` in milliseconds since 1970.
import { createInterface } from 'node:readline';

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Prints an event. */
export const tell = (event, more = {}) => print({ event, atMs: Date.now(), ...more });

/**
 * Prints `started` and carries out commands, beside each other. Resolves at the end of standard input.
 *
 * @param {Record<string, (args: object) => unknown>} commands
 */
export async function takeCommands(commands) {
  tell('started');
  for await (const line of createInterface({ input: process.stdin }))
    void carryOut(commands, JSON.parse(line));
}

async function carryOut(commands, { id, command, ...args }) {
  try {
    print({ reply: id, value: (await commands[command](args)) ?? {} });
  } catch (error) {
    print({ reply: id, error: String(error?.message ?? error) });
  }
}
