import { expect, test } from 'vitest';
import { FfiServer } from '../../src/ffi/server.js';

/** A message with one length-delimited field. */
function envelope(field: number, content: readonly number[] = []): Uint8Array {
  const tag = (field << 3) | 2;
  return Uint8Array.from([(tag & 127) | 128, tag >> 7, content.length, ...content]);
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

function open() {
  const events: Uint8Array[] = [];
  const server = new FfiServer({ emit: ({ bytes }) => events.push(bytes) });
  return { server, events };
}

test('requests to start and stop a capture are answered with an error that names them', () => {
  const { server } = open();
  for (const [field, name] of [
    [89, 'startCapture'],
    [90, 'stopCapture'],
  ] as const) {
    const { bytes } = server.handle(envelope(field, [8, 1]), []);
    expect([...bytes.subarray(0, 2)]).toEqual([...envelope(field).subarray(0, 2)]);
    expect(text(bytes)).toContain(`request ${name}: offhook makes no pictures of its own`);
  }
});

test('encoded frames need a source of their kind', () => {
  const { server } = open();
  for (const field of [87, 88])
    expect(() => server.handle(envelope(field, [8, 1]), [])).toThrow('handle 1 is unknown');
});

test('what is no request at all is refused', () => {
  const { server } = open();
  expect(() => server.handle(envelope(120), [])).toThrow('empty, or of a later protocol');
  // Field 87, not as a message.
  const malformed = Uint8Array.from([184, 5, 19, 232, 5, 93]);
  expect(() => server.handle(malformed, [])).toThrow(expect.objectContaining({ name: 'OffhookError' }));
});

test('a capture source is refused by the callback that bears the id which the program chose', async () => {
  const { server, events } = open();
  const { bytes } = server.handle(envelope(91, [24, 77]), []);
  expect([...bytes]).toEqual([...envelope(91, [8, 77])]);
  await expect.poll(() => events.length).toBe(1);
  expect([...events[0]!.subarray(0, 2)]).toEqual([...envelope(47).subarray(0, 2)]);
  expect(text(events[0]!)).toContain('newCaptureSource: offhook makes no pictures of its own');
  expect([...events[0]!]).toContain(77);
});
