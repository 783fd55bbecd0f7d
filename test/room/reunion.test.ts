import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Reunion } from '../../src/room/connection/reunion.js';

describe('a reunion', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('is over at once when nobody is missing', () => {
    const onOver = vi.fn();
    new Reunion(new Set(), onOver);
    expect(onOver).toHaveBeenCalledOnce();
  });

  it('is over when the last who was missing is back', () => {
    const onOver = vi.fn();
    const reunion = new Reunion(new Set(['ada', 'bob']), onOver);
    reunion.settle('carol');
    reunion.settle('ada');
    expect(onOver).not.toHaveBeenCalled();
    reunion.settle('bob');
    reunion.settle('bob');
    vi.runAllTimers();
    expect(onOver).toHaveBeenCalledOnce();
  });

  it('does not wait for ever, and not at all once it is closed', () => {
    const onOver = vi.fn();
    new Reunion(new Set(['ada']), onOver);
    const closed = vi.fn();
    new Reunion(new Set(['ada']), closed).close();
    vi.runAllTimers();
    expect(onOver).toHaveBeenCalledOnce();
    expect(closed).not.toHaveBeenCalled();
  });
});
