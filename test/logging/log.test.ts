import { afterEach, describe, expect, test } from 'vitest';
import {
  createLogger,
  describeSubject,
  type LogRecord,
  type LogSubject,
  setLogSink,
} from '../../src/logging/index.js';

const records: LogRecord[] = [];

afterEach(() => {
  records.length = 0;
  setLogSink(() => {});
});

describe('a logger about a call', () => {
  test('gives each record what is known of the call at that time', () => {
    setLogSink((record) => records.push(record));
    const subject: LogSubject = {};
    const log = createLogger('room/ice').about(subject);
    log.info('before');
    subject.room = 'kitchen';
    subject.identity = 'agent-AJ_1';
    subject.job = 'AJ_1';
    log.warn('after');
    expect(records).toEqual([
      { level: 'info', module: 'room/ice', message: 'before' },
      {
        level: 'warn',
        module: 'room/ice',
        message: 'after',
        room: 'kitchen',
        identity: 'agent-AJ_1',
        job: 'AJ_1',
      },
    ]);
  });

  test('shows no access token, and writes one line', () => {
    setLogSink((record) => records.push(record));
    const token = `eyJhbGciOiJIUzI1NiJ9.${Buffer.from('{"sub":"ada"}').toString('base64url')}.c2lnbmF0dXJl`;
    const log = createLogger('room/ice');
    log.info(`refused: ${token}\nforged line`);
    log.about({ room: 'kitchen' }).warn(`GET /rtc?access_token=${token}&x=1`);
    expect(records.map(({ message }) => message)).toEqual([
      'refused: …\\nforged line',
      'GET /rtc?access_token=…&x=1',
    ]);
  });

  test('is dropped below the threshold', () => {
    setLogSink((record) => records.push(record), 'warn');
    const log = createLogger('room').about({ room: 'kitchen' });
    log.info('not shown');
    log.error('shown');
    expect(records.map(({ message }) => message)).toEqual(['shown']);
  });
});

test('a call is described by words that can be searched for, with any names', () => {
  expect(describeSubject({ room: 'kitchen', identity: 'ada@example', job: undefined })).toBe(
    'room=kitchen identity=ada@example',
  );
  expect(describeSubject({ room: 'two words\nand a line' })).toBe('room="two words\\nand a line"');
  expect(describeSubject({})).toBe('');
});
