import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

interface PackedFile {
  path: string;
  size: number;
}

let folder: string;
let packed: { filename: string; size: number; files: PackedFile[] };
let installed: string;

beforeAll(() => {
  // Inside the repository, so that the packed files find the dependencies that are installed here.
  mkdirSync(join(root, 'out'), { recursive: true });
  folder = mkdtempSync(join(root, 'out', 'packed-'));
  const output = execFileSync('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  packed = JSON.parse(output)[0];
  installed = join(folder, 'node_modules', 'offhook');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(folder, packed.filename), '-C', installed, '--strip-components=1']);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const paths = (): string[] => packed.files.map(({ path }) => path);

/** Every file that `exports` and `bin` name. */
function entryPoints(): string[] {
  const { exports: entries, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const targets = (entry: unknown): string[] =>
    typeof entry === 'string' ? [entry] : Object.values(entry as object).flatMap(targets);
  return [...targets(entries), ...targets(bin)].map((path) => path.replace(/^\.\//, ''));
}

/** Names that an entry exports, and names of types of this package in their declarations. */
function surfaceOf(entry: string): { exported: string[]; used: string[] } {
  const exported: string[] = [];
  const used: string[] = [];
  for (const [, list, from] of readFileSync(entry, 'utf8').matchAll(
    /export (?:type )?\{([^}]*)\} from '(.*)\.js'/g,
  )) {
    const names = list!.split(',').map((name) => name.replace(/\btype\b/, '').trim());
    exported.push(...names);
    const text = readFileSync(join(dirname(entry), `${from}.d.ts`), 'utf8').replaceAll(
      /\/\*[\s\S]*?\*\//g,
      '',
    );
    const imported = [...text.matchAll(/^import .*\{(.*)\} from '(?!.*bundled-types)\..*'/gm)].flatMap(
      ([, some]) => some!.match(/\b[A-Z]\w+/g) ?? [],
    );
    const declared = [...text.matchAll(/^(?:export )?(?:declare )?(?:interface|type|class) (\w+)/gm)];
    const own = new Set([...imported, ...declared.map(([, name]) => name!)]);
    for (const name of names) {
      const start = new RegExp(`^export .*\\b${name}\\b`, 'm').exec(text)!.index;
      const [declaration] = /^.*[\s\S]*?(?=\n(?:export|declare|import|interface|type) |$(?![\s\S]))/.exec(
        text.slice(start),
      )!;
      used.push(...(declaration.match(/\b[A-Z]\w+/g) ?? []).filter((word) => own.has(word)));
    }
  }
  return { exported: exported.sort(), used };
}

describe('the package', () => {
  test('exports of the room server what its signatures use, and nothing internal', () => {
    const { exported, used } = surfaceOf(join(installed, 'dist/types/server/package-entry.d.ts'));
    expect(exported).toEqual([
      'ApiKeys',
      'RoomServer',
      'ServerOptions',
      'TwirpError',
      'TwirpErrorCode',
      'TwirpMethod',
      'TwirpService',
      'startServer',
    ]);
    expect(used).toContain('TwirpMethod');
    expect(used.filter((name) => !exported.includes(name))).toEqual([]);
  });

  test('is under 500 kB', () => {
    expect(packed.size).toBeLessThan(500_000);
  });

  test('holds neither sources nor traces of the build', () => {
    expect(paths().filter((path) => path.startsWith('src/') || path.endsWith('.map'))).toEqual([]);
    expect(paths()).not.toContain('dist/.built');
  });

  test('has no line so long that an uncaught error would fill the screen with it', () => {
    const long = paths()
      .filter((path) => /\.c?js$/.test(path))
      .flatMap((path) => {
        const lines = readFileSync(join(installed, path), 'utf8').split('\n');
        const characters = Math.max(...lines.map(({ length }) => length));
        return characters > 2_000 ? [`${path}: ${characters}`] : [];
      });
    expect(long).toEqual([]);
  });

  test('needs four packages at most, and its declarations name no other', () => {
    const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'));
    expect(Object.keys(dependencies).length).toBeLessThanOrEqual(4);
    const named = paths()
      .filter((path) => path.endsWith('.d.ts'))
      .flatMap((path) => [...readFileSync(join(installed, path), 'utf8').matchAll(/ from '([^.'][^']*)'/g)])
      .map(([, name]) => name);
    expect(named.filter((name) => !name?.startsWith('node:') && !(name! in dependencies))).toEqual([]);
  });

  test('holds every file that its entry points name', () => {
    expect(entryPoints().filter((path) => !paths().includes(path))).toEqual([]);
  });

  test('holds the licence and what is linked into its dependencies', () => {
    expect(paths()).toEqual(expect.arrayContaining(['LICENSE', 'NOTICE', 'CHANGELOG.md', 'README.md']));
  });

  test('names where it comes from', () => {
    const { repository, homepage, bugs, keywords, author } = JSON.parse(
      readFileSync(join(installed, 'package.json'), 'utf8'),
    );
    expect(repository.url).toMatch(/^git\+https:/);
    expect([homepage, bugs.url, author].every(Boolean)).toBe(true);
    expect(keywords).toContain('livekit');
  });

  test.each([
    [
      'an ES module',
      ['--input-type=module', '-e', "import { Room } from 'offhook'; console.log(typeof Room)"],
    ],
    ['a CommonJS module', ['--no-warnings', '-e', "console.log(typeof require('offhook').Room)"]],
    [
      'an ES module: the room server',
      [
        '--input-type=module',
        '-e',
        "import * as server from 'offhook/server'; console.log(typeof server.startServer)",
      ],
    ],
  ])('can be used from %s', (_, args) => {
    const output = execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    expect(output.trim()).toBe('function');
  });

  test('has all the types that its entry points use', () => {
    const program = `
      import { AudioSource, Room, type RoomEvents, type TimelineRecord } from 'offhook';
      import { startServer, type RoomServer } from 'offhook/server';
      import 'offhook/register';
      const room = new Room({ name: 'typed' });
      room.on('trackSubscribed', ({ track, participant }) => [track.sid, participant.identity.length]);
      // @ts-expect-error: there is no such event
      room.on('trackSubscibed', () => {});
      export const source = new AudioSource({ sampleRate: 48_000 });
      export const timeline: TimelineRecord = room.timeline;
      export const server: Promise<RoomServer> = startServer({ port: 0 });
      export type Names = keyof RoomEvents;
    `;
    writeFileSync(join(folder, 'program.ts'), program);
    const compilerOptions = {
      ...{ target: 'ES2022', lib: ['ES2023'], module: 'NodeNext', moduleResolution: 'NodeNext' },
      ...{ strict: true, noEmit: true, types: ['node'] },
    };
    const config = { compilerOptions, files: ['program.ts'] };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], {
      encoding: 'utf8',
    });
    expect(tsc.stdout).toBe('');
  });

  test('says how to get koffi when a native filter is registered without it', () => {
    const alone = mkdtempSync(join(tmpdir(), 'offhook-alone-'));
    try {
      const modules = join(alone, 'node_modules');
      mkdirSync(modules);
      cpSync(installed, join(modules, 'offhook'), { recursive: true });
      const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
      for (const name of Object.keys(dependencies))
        cpSync(join(root, 'node_modules', name), join(modules, name), { recursive: true });
      const program = `
        import { registerAudioFilter } from 'offhook';
        try {
          // Any shared library will do: it is not opened.
          registerAudioFilter({ moduleId: 'denoise', pluginPath: ${JSON.stringify(process.execPath)} });
        } catch (error) {
          console.log(JSON.stringify([error.code, error.message]));
        }
      `;
      const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
        cwd: alone,
        encoding: 'utf8',
      });
      const [code, message] = JSON.parse(output);
      expect(code).toBe('OFFHOOK_FILTER');
      expect(message).toMatch(/native filters need the package koffi.*npm install koffi/s);
    } finally {
      rmSync(alone, { recursive: true });
    }
  });

  test('runs its command', () => {
    const main = join(installed, 'dist/engine/cli.js');
    expect(existsSync(main)).toBe(true);
    expect(execFileSync(process.execPath, [main, '--help'], { encoding: 'utf8' })).toContain('offhook');
  });
});
