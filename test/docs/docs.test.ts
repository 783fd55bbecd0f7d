import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { renderSnapshot } from '../../bench/snapshot.mjs';
import { apiReference } from '../../scripts/api-reference.mjs';
import { limits } from '../../src/limits.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folders = [
  '',
  'docs',
  'docs/decisions',
  'docs/bench',
  'docs/filters',
  'examples',
  'bench',
  'bench/faults',
];
const pages = folders
  .map((folder) => join(root, folder))
  .filter((folder) => existsSync(folder))
  .flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  );
const texts = new Map(pages.map((page) => [relative(root, page), readFileSync(page, 'utf8')]));

/** Code blocks of a page in `language`. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map(([, , code]) => code!);
}

/** Names of environment variables that the engine reads, wherever it is written in src/. */
function variablesOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return variablesOf(path);
    const read = [.../\benv(?:ironment)?\.(OFFHOOK_[A-Z_]+)/g[Symbol.matchAll](readFileSync(path, 'utf8'))];
    return read.map(([, name]) => name!);
  });
}

/** Each folder of src/ and the list of those that it may import, as scripts/check-imports.mjs has them. */
function allowedImports(): [folder: string, list: string][] {
  const table = readFileSync(join(root, 'scripts/check-imports.mjs'), 'utf8');
  return [...table.matchAll(/^ {2}(\w+): (?:\[(.*)\]|(reporting)),$/gm)].map(([, folder, list, group]) => [
    folder!,
    group ?? (list!.replaceAll("'", '').replace('...', '') || 'nothing'),
  ]);
}

describe('the documentation', () => {
  test.each([...texts])('%s links to files that are there', (page, text) => {
    const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '');
    const links = [...prose.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, link]) => link!);
    const missing = links.filter((link) => !existsSync(resolve(root, dirname(page), link)));
    expect(missing).toEqual([]);
  });

  test('names every environment variable that the engine reads', () => {
    const all = [...texts.values()].join('\n');
    const unnamed = [...new Set(variablesOf(join(root, 'src')))].filter((name) => !all.includes(name));
    expect(unnamed).toEqual([]);
  });

  test('has the API as the comments in the code have it', () => {
    expect(texts.get('docs/api.md'), 'run: node scripts/api-reference.mjs').toBe(apiReference());
  });

  test('has a comment of every method, and every type that a signature names', () => {
    const page = texts.get('docs/api.md')!;
    const methods = [
      ...page.matchAll(/^- `((?:static |abstract |async )?(?:\[Symbol\.\w+\]|\w+)(?:<.*?>)?\([^`]*)`(:?)/gm),
    ];
    const isCommented = ([, signature, colon]: RegExpMatchArray) =>
      colon === ':' || signature!.startsWith('constructor(');
    expect(methods.length).toBeGreaterThan(50);
    expect(methods.filter((method) => !isCommented(method)).map(([, signature]) => signature)).toEqual([]);
    const parameters = [...page.matchAll(/^`(?:abstract )?class \w+<([^>]*)>/gm)].flatMap(([, list]) =>
      list!.split(/\W+/),
    );
    const named = new Set([...page.matchAll(/^### (\w+)/gm)].map(([, name]) => name!).concat(parameters));
    const code = [...page.matchAll(/^- `([^`]*)`|^```typescript\n([\s\S]*?)^```/gm)].flatMap(
      ([, signature, block]) =>
        signature ?? (/^(?:export )?(?:interface|type|class|abstract) /.test(block!) ? block! : []),
    );
    const used = code.flatMap((text) =>
      [
        ...text
          .replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*|'[^']*'/g, '')
          .matchAll(/(?:[:|&<(,] ?|extends |implements |keyof |=> |readonly )([A-Z]\w+)\b(?!\.)/g),
      ].map(([, name]) => name!),
    );
    const known =
      /^(Promise|Record|Readonly|ReadonlyMap|Map|Partial|Error|ErrorOptions|Int16Array|Uint8Array|Float32Array|AbortSignal|AsyncGenerator|AsyncIterable|URL|Payload|Piece|Events|Name|Pick|Extract)$/;
    expect([...new Set(used)].filter((name) => !named.has(name) && !known.test(name))).toEqual([]);
  });

  test('gives the default of maxReconnectAttempts that the engine has', () => {
    const stated = ['docs/api.md', 'docs/connection.md'].map((page) =>
      /(?:gives up; default (\d+)|(\d+) of them by default)/.exec(texts.get(page)!)?.slice(1).find(Boolean),
    );
    expect(stated.map(Number)).toEqual([limits.reconnectAttempts.value, limits.reconnectAttempts.value]);
  });

  test('uses commands and options that offhook has', () => {
    const used = new Map<string, Set<string>>();
    for (const text of texts.values()) {
      for (const code of blocks(text, 'sh')) {
        for (const [, command, rest] of code.matchAll(/npx offhook (\w+)([^#\n]*)/g)) {
          const options = used.get(command!) ?? new Set();
          for (const option of rest!.match(/--[\w-]+/g) ?? []) options.add(option);
          used.set(command!, options);
        }
      }
    }
    expect([...used.keys()]).toEqual(expect.arrayContaining(['dev', 'token']));
    for (const [command, options] of used) {
      const { stdout } = spawnSync(process.execPath, ['dist/cli/main.js', command, '--help'], {
        cwd: root,
        encoding: 'utf8',
      });
      for (const option of options) expect(stdout, `offhook ${command}`).toContain(option);
    }
  });

  test.skipIf(process.platform === 'win32')('has `npx offhook` in a clone as pages use it', () => {
    expect(() => accessSync(join(root, 'dist/cli/main.js'), constants.X_OK)).not.toThrow();
  });

  test('shows which folder may import which as lint holds it', () => {
    const held = allowedImports();
    const shown = [
      ...texts.get('docs/architecture.md')!.matchAll(/^\| `(\w+)` +\| (`.*|reporting|nothing) +\|$/gm),
    ].map(([, folder, list]) => [folder, list!.replaceAll('`', '').trim()]);
    expect(held).not.toEqual([]);
    expect(shown).toEqual(held);
  });

  test('draws the imports between the folders of the engine, and no others', () => {
    const imports = new Map(allowedImports().map(([folder, list]) => [folder, list.split(', ')]));
    const [drawing] = blocks(texts.get('docs/architecture.md')!, 'mermaid');
    // A node is an id with a label, whose first line names its folders, or an id that is a folder's name itself.
    const labels = new Map([...drawing!.matchAll(/(\w+)\["([^"<]*)/g)].map(([, id, label]) => [id!, label!]));
    const foldersOf = (id: string) =>
      (labels.get(id) ?? id).split(', ').filter((folder) => imports.has(folder));
    const drawn = [...drawing!.matchAll(/(\w+)(?:\["[^"]*"\])? (?:<-- "[^"]*" )?--> (\w+)/g)].flatMap(
      ([, from, to]) => foldersOf(from!).flatMap((a) => foldersOf(to!).map((b) => `${a} -> ${b}`)),
    );

    const folders = new Set(drawn.flatMap((arrow) => arrow.split(' -> ')));
    const targets = (folder: string) => imports.get(folder)!.filter((other) => folders.has(other));
    const reaches = (from: string, to: string): boolean =>
      targets(from).some((next) => next === to || reaches(next, to));
    const direct = [...folders].flatMap((from) =>
      targets(from)
        .filter((to) => !targets(from).some((next) => next !== to && reaches(next, to)))
        .map((to) => `${from} -> ${to}`),
    );
    expect([...folders]).toEqual(expect.arrayContaining(['library', 'ffi', ...targets('room')]));
    expect(folders.size).toBeGreaterThan(8);
    expect(drawn.sort()).toEqual(direct.sort());
  });

  test('draws the objects from the program to the packet in the order in which they create each other', () => {
    const [, drawing] = blocks(texts.get('docs/architecture.md')!, 'mermaid');
    const arrows = [...drawing!.matchAll(/(\w+)(?:\["[^"]*"\])? --> (\w+)/g)];
    const sources = ['src/room', 'src/transport'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.ts'))
        .map((path) => readFileSync(join(root, folder, path), 'utf8')),
    );
    // What a class makes may be made by the class that it extends.
    const sourceOf = (name: string): string => {
      const declaration = new RegExp(`^export (?:abstract )?class ${name}\\b(?: extends (\\w+))?`, 'm');
      const source = sources.find((text) => declaration.test(text)) ?? '';
      const base = declaration.exec(source)?.[1];
      return base ? source + sourceOf(base) : source;
    };
    expect(arrows.map(([, from]) => from)).toHaveLength(5);
    for (const [, from, to] of arrows) expect(sourceOf(from!), `${from} makes ${to}`).toContain(`new ${to}(`);
  });

  test('uses npm scripts that exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const used = [...texts.values()].flatMap((text) =>
      [...text.matchAll(/npm (?:run )?(demo|bench|test|check|\w+:\w+)\b/g)].map(([, name]) => name!),
    );
    for (const name of new Set(used)) expect(Object.keys(scripts)).toContain(name);
  });

  test('has code in TypeScript that type-checks', () => {
    const folder = join(root, 'out/docs');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    let count = 0;
    for (const [page, text] of texts) {
      for (const [index, code] of blocks(text, 'ts').entries()) {
        writeFileSync(join(folder, `${page.replaceAll(/\W/g, '-')}-${index + 1}.ts`), code);
        count++;
      }
    }
    // What pages take for granted.
    const given = `import type { Agent, AgentSession, JobContext } from '@livekit/agents';
import type { AudioFrame, RemoteAudioTrack, Room } from 'offhook';
declare global {
  const url: string;
  const token: string;
  const room: Room;
  const track: RemoteAudioTrack;
  const session: AgentSession;
  const agent: Agent;
  const ctx: JobContext;
  function renewToken(): void;
  function onFrame(frame: AudioFrame): void;
  function onPicture(data: Uint8Array, width: number, height: number): void;
  function onEnd(): void;
}`;
    writeFileSync(join(folder, 'given.d.ts'), given);
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          ...{ target: 'ES2022', lib: ['ES2023'], module: 'NodeNext', moduleResolution: 'NodeNext' },
          ...{ strict: true, noEmit: true, skipLibCheck: true, types: ['node'] },
        },
        include: ['*.ts'],
      }),
    );
    const { stdout, status } = spawnSync(
      process.execPath,
      ['node_modules/typescript/bin/tsc', '-p', folder],
      { cwd: root, encoding: 'utf8' },
    );
    expect(count).toBeGreaterThan(0);
    expect(status, stdout).toBe(0);
  });

  test('shows the figures of the run whose record lies beside them', () => {
    const record = JSON.parse(readFileSync(join(root, 'docs/bench/bench.json'), 'utf8'));
    expect(texts.get('docs/bench/README.md')).toBe(renderSnapshot(record));
  });
});
