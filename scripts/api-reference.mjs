// Writes docs/api.md from the declarations in dist/: every name that the package's main entry exports, with its comment.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildOrExit } from './build-or-exit.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = `${root}/dist`;

/** Title of a part of the page: the modules of dist/ that it has, in order. */
const parts = {
  Rooms: ['library/room', 'library/events', 'library/emitter'],
  Encryption: ['library/encryption'],
  Participants: ['library/participant', 'library/local-participant'],
  Tracks: ['library/tracks', 'library/inbox', 'library/values'],
  Audio: ['library/audio', 'audio', 'library/audio-processing'],
  Video: ['library/video', 'library/encoded-video', 'video'],
  'Data tracks': ['library/data-tracks'],
  'Text and byte streams': ['library/data-streams', 'data'],
  Filters: ['library/filters', 'filters'],
  'Errors, deadlines, timelines and logs': ['errors', 'deadlines', 'timeline', 'logging', 'library/logging'],
};

const startOf =
  /^(?:export )?(?:declare )?(?:abstract )?(?<kind>class|interface|type|function|const) (?<name>\w+)/;

/** Statements or members, each with the comment before it. They begin in the first column and span lines until brackets close. */
function pieces(text) {
  const found = [];
  let comment = '';
  let lines = [];
  let depth = 0;
  let isComment = false;
  for (const line of text.split('\n')) {
    if (lines.length === 0 && (isComment || /^\/\*\*/.test(line))) {
      comment = isComment ? `${comment}\n${line}` : line;
      isComment = !line.includes('*/');
      continue;
    }
    if (lines.length === 0 && line.trim() === '') continue;
    lines.push(line);
    const code = line.replace(/\/\*.*?\*\/|^\s*(\/\*\*|\*).*$|'[^']*'/g, '');
    for (const [bracket] of code.matchAll(/[{}()[\]]/g)) depth += '{(['.includes(bracket) ? 1 : -1;
    if (depth === 0 && /[;}]$/.test(code.trimEnd())) {
      found.push({ comment, code: lines.join('\n') });
      [comment, lines] = ['', []];
    }
  }
  return found;
}

function declarationsOf(path) {
  const text = readFileSync(path, 'utf8').replace(/\/\/# sourceMappingURL.*/, '');
  return pieces(text).flatMap(({ comment, code }) => {
    const { kind, name } = startOf.exec(code)?.groups ?? {};
    return name ? [{ kind, name, comment, code: code.replace(/^(export )?(declare )?/, '') }] : [];
  });
}

/** What the entry exports: each name, and the folder of dist/ that it is from. Two folders may have things of one name. */
function exportedNames() {
  const listed = (path) =>
    [...readFileSync(path, 'utf8').matchAll(/export (?:type )?(?:\{([^}]*)\}|\*) from '\.\/(\w+)/g)].map(
      ([, list, folder]) => ({
        names: list?.split(',').flatMap((name) => name.replace(/\btype\b/, '').trim() || []),
        folder,
      }),
    );
  return new Map(
    listed(`${dist}/index.d.ts`).flatMap(({ names, folder }) =>
      (names ?? listed(`${dist}/${folder}/index.d.ts`).flatMap((one) => one.names ?? [])).map((name) => [
        name,
        folder,
      ]),
    ),
  );
}

/** A comment as text, and its example as code. */
function readComment(comment) {
  const text = comment
    .replace(/^\/\*\*\s?|\s*\*\/$/g, '')
    .replace(/^\s*\* ?/gm, '')
    .trim();
  const [before, example] = text.split(/^@example\n/m);
  const sentences = before
    .replace(/\s*@throws OffhookError (?=`)/g, '\n\nThrows ')
    .replace(/\s*@throws /g, '\n\nThrows ')
    .replace(/\s*@param (\w+) /g, '\n\n`$1`: ')
    .trim()
    .split(/\n\n+/)
    .map((paragraph) => paragraph.replace(/\s*\n\s*/g, ' '));
  return { text: sentences.join('\n\n').replace(/^$/, ''), example };
}

const fence = (code) => `\`\`\`typescript\n${code.trim()}\n\`\`\``;
const indented = (text, by) => text.replace(/^(?=.)/gm, by);

function describeClass({ code }) {
  const [head] = code.split(' {\n', 1);
  const body = code.slice(code.indexOf('\n') + 1, code.lastIndexOf('}')).replace(/^ {4}/gm, '');
  const members = pieces(body).filter(({ code: member }) => !/^#|^private |^protected /.test(member));
  const items = members.map(({ comment, code: member }) => {
    const { text, example } = readComment(comment);
    const signature = `- \`${member.replace(/\s*\n\s*/g, ' ').replace(/;$/, '')}\``;
    const [first = '', ...more] = text.split('\n\n');
    const rest = [...more, ...(example ? [fence(example)] : [])].map((part) => indented(part, '  '));
    return [first ? `${signature}: ${first}` : signature, ...rest].join('\n\n');
  });
  return [`\`${head}\``, items.join('\n')];
}

/** The declarations of interfaces in the same file that are not exported, and that an exported one extends. */
function bases({ code }, inFile) {
  const [, names = ''] = /^interface \w+ extends ([\w, ]+)/.exec(code) ?? [];
  return inFile.filter(({ name }) => names.trim().split(', ').includes(name));
}

function describe(declaration, inFile, exported) {
  const { text, example } = readComment(declaration.comment);
  const hidden = bases(declaration, inFile).filter(({ name }) => !exported.has(name));
  const body =
    declaration.kind === 'class'
      ? describeClass(declaration)
      : [fence([...hidden.map(({ code }) => code), declaration.code].join('\n'))];
  return [`### ${declaration.name}`, text, ...(example ? [fence(example)] : []), ...body]
    .filter((paragraph) => paragraph !== '')
    .join('\n\n');
}

/** As `npm run format` leaves it. */
function formatted(page) {
  const biome = ['node_modules/@biomejs/biome/bin/biome', 'format', '--stdin-file-path=docs/api.md'];
  const { stdout, stderr, status } = spawnSync(process.execPath, biome, {
    cwd: root,
    input: page,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** docs/api.md. Throws when the entry exports a name that no part of the page has. */
export function apiReference() {
  const exported = exportedNames();
  const described = new Set();
  const sections = Object.entries(parts).map(([title, modules]) => {
    const files = modules.flatMap((module) =>
      existsSync(`${dist}/${module}.d.ts`)
        ? [`${dist}/${module}.d.ts`]
        : readdirSync(`${dist}/${module}`)
            .filter((name) => name.endsWith('.d.ts'))
            .sort()
            .map((name) => `${dist}/${module}/${name}`),
    );
    const texts = files.flatMap((file) => {
      const inFile = declarationsOf(file);
      return inFile
        .filter(({ name }) => file.startsWith(`${dist}/${exported.get(name)}/`) && !described.has(name))
        .map((declaration) => {
          described.add(declaration.name);
          return describe(declaration, inFile, exported);
        });
    });
    return `## ${title}\n\n${texts.join('\n\n')}`;
  });
  const missing = [...exported.keys()].filter((name) => !described.has(name));
  if (missing.length > 0) throw new Error(`no part of docs/api.md has ${missing.join(', ')}`);
  return formatted(`# API of the library

What \`import … from 'offhook'\` gives. [library.md](library.md) is the guide. Errors are \`OffhookError\` unless another is named
([errors.md](errors.md)).

This page is generated from the comments in the code by \`node scripts/api-reference.mjs\`.

${sections.join('\n\n')}
`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildOrExit();
  writeFileSync(`${root}/docs/api.md`, apiReference());
}
