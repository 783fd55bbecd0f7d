import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connectionPage } from '../../scripts/connection.mjs';
import {
  type ConnectionInput,
  connectionActions,
  connectionInputs,
  connectionTable,
  transitionFor,
} from '../../src/room/connection/connection-table.js';
import type { ConnectionState } from '../../src/room/index.js';

const inputs = Object.keys(connectionInputs) as ConnectionInput[];

describe('the table of a connection', () => {
  it('is what docs/connection.md shows', () => {
    const page = readFileSync(new URL('../../docs/connection.md', import.meta.url), 'utf8');
    expect(page, 'run node scripts/connection.mjs').toBe(
      connectionPage({ connectionActions, connectionInputs, connectionTable }),
    );
  });

  it('has one row for a state and an input, and uses every input and action', () => {
    const keys = connectionTable.map(({ from, on }) => `${from} ${on}`);
    expect(new Set(keys).size).toBe(keys.length);
    expect(new Set(connectionTable.map(({ on }) => on))).toEqual(new Set(inputs));
    expect(new Set(connectionTable.flatMap(({ actions }) => actions))).toEqual(
      new Set(Object.keys(connectionActions)),
    );
  });

  it('leads out of every state when the program leaves', () => {
    for (const from of ['connecting', 'connected', 'resuming', 'reconnecting'] as const) {
      const transition = transitionFor(from, 'disconnect');
      expect(transition?.to).toBe('disconnected');
      expect(transition?.actions).toContain('closeSession');
    }
  });

  it('reports a loss once, and its end once, whatever happens in between', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...inputs), { maxLength: 40 }), (happened) => {
        let state: ConnectionState = 'disconnected';
        const reported: string[] = [];
        for (const input of happened) {
          const transition = transitionFor(state, input);
          if (!transition) continue;
          state = transition.to;
          reported.push(...transition.actions.filter((action) => action.startsWith('report')));
        }
        const sequence = reported.map((action) => action.slice('report'.length)[0]).join('');
        // Joined, then Interrupted and Restored by turns, and Disconnected at the end; and perhaps all of it again.
        expect(sequence).toMatch(/^(J(IR)*(I)?D)*(J(IR)*I?)?$/);
      }),
    );
  });
});
