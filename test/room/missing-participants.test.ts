import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MissingParticipants } from '../../src/room/data/missing-participants.js';

describe('participants who are missing after a reconnect', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('are settled at once when there are none', () => {
    const onSettled = vi.fn();
    new MissingParticipants(new Set(), onSettled);
    expect(onSettled).toHaveBeenCalledOnce();
  });

  it('are settled when the last of them is back', () => {
    const onSettled = vi.fn();
    const missing = new MissingParticipants(new Set(['ada', 'bob']), onSettled);
    missing.settle('carol');
    missing.settle('ada');
    expect(onSettled).not.toHaveBeenCalled();
    missing.settle('bob');
    missing.settle('bob');
    vi.runAllTimers();
    expect(onSettled).toHaveBeenCalledOnce();
  });

  it('are not awaited for ever, and not at all after a close', () => {
    const onSettled = vi.fn();
    new MissingParticipants(new Set(['ada']), onSettled);
    const closed = vi.fn();
    new MissingParticipants(new Set(['ada']), closed).close();
    vi.runAllTimers();
    expect(onSettled).toHaveBeenCalledOnce();
    expect(closed).not.toHaveBeenCalled();
  });
});
