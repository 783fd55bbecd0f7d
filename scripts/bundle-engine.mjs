// Makes one file of the engine, after tsc, for its thread and its processes: reading some three hundred modules one by one took
// two thirds of the thread's start. What is loaded on demand stays apart.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, transform } from 'esbuild';
import { minifySync } from 'rolldown/experimental';
import { protocolModule } from './protocol-messages.mjs';

const dist = fileURLToPath(new URL('../dist', import.meta.url));
const outdir = `${dist}/engine`;
const require = createRequire(import.meta.url);

/** Addons and WebAssembly find their binaries beside their own files; OpenTelemetry must be the program's own. */
const external = [
  '@ennuicastr/webrtcaec3.js',
  '@evan/opus',
  '@jitsi/rnnoise-wasm',
  '@opentelemetry/api',
  'koffi',
];

/** Puts the messages that the engine uses in the place of the bindings'. */
async function replaceProtocol() {
  const from = (path) => import(pathToFileURL(`${dist}/ffi/${path}.js`).href);
  const [protocol, { requestTable }, { eventTable, roomEventTable }] = await Promise.all([
    from('protocol'),
    from('request-table'),
    from('event-table'),
  ]);
  const { proto2 } = require('@bufbuild/protobuf');
  const enumOf = (value) => {
    try {
      return proto2.getEnumType(value);
    } catch {
      return undefined;
    }
  };
  const tables = {
    'livekit.proto.FfiRequest': requestTable,
    'livekit.proto.FfiEvent': eventTable,
    'livekit.proto.RoomEvent': roomEventTable,
  };
  const isUnused = (typeName, field) => ['not yet', 'never'].includes(tables[typeName]?.[field]?.status);
  writeFileSync(`${dist}/ffi/protocol.js`, protocolModule(protocol, enumOf, isUnused));
}

/** A module finds what lies beside it, wherever the bundle is. */
const ownUrls = {
  name: 'own-urls',
  setup(bundler) {
    bundler.onLoad({ filter: /\.js$/ }, ({ path }) => {
      if (!path.startsWith(`${dist}/`)) return undefined;
      const url = `new URL(${JSON.stringify(relative(outdir, path))}, import.meta.url).href`;
      const contents = readFileSync(path, 'utf8').replaceAll('import.meta.url', url);
      return { contents, loader: 'js', resolveDir: dirname(path) };
    });
  },
};

/** The program's side of the engine thread is CommonJS and finds the thread's file from its own place: it stays there. */
const programSide = {
  name: 'program-side',
  setup(bundler) {
    bundler.onResolve({ filter: /engine-thread\.cjs$/ }, ({ path, importer }) => ({
      path: `./${relative(outdir, join(dirname(importer), path))}`.replace('./../', '../'),
      external: true,
    }));
  },
};

/** Code of others, which nobody reads here, gets short names: a fifteenth of the package. */
const shortNamesOfPackages = {
  name: 'short-names-of-packages',
  setup(bundler) {
    bundler.onLoad({ filter: /\/node_modules\/.*\.m?js$/ }, async ({ path }) => {
      const { code } = await transform(readFileSync(path, 'utf8'), { minifyIdentifiers: true });
      return { contents: code, loader: 'js' };
    });
  },
};

/** Where a limit comes from, and what happens beyond it, is for docs/limits.md. */
const withoutTexts = (code) => code.replace(/^\s+(?:source|effect): (?:'.*'|".*"|`.*`),$/gm, '');

const limitsWithoutTexts = {
  name: 'limits-without-texts',
  setup(bundler) {
    bundler.onLoad({ filter: /\/dist\/(?:(?:server|sip)\/)?limits\.js$/ }, ({ path }) => ({
      contents: withoutTexts(readFileSync(path, 'utf8')),
      loader: 'js',
    }));
  },
};

/** Modules that files outside of the bundle load on demand: these find there, in their places, what the bundle has. */
const loadedFromOutside = ['ffi/owed-events', 'filters/index', 'timeline/index'];

/** Packages whose types declarations name and whose code is in the bundle, or is not needed by most programs. */
const bundledTypes = ['@bufbuild/protobuf', '@livekit/protocol', '@opentelemetry/api', 'koffi', 'ws'];

/**
 * Gives declarations of internal modules types of their own in place of those of packages that are not installed with this
 * one. No signature of the public API names them.
 */
function replaceTypes() {
  const names = new Map();
  for (const entry of readdirSync(dist, { recursive: true })) {
    if (!entry.endsWith('.d.ts')) continue;
    const path = join(dist, entry);
    const text = readFileSync(path, 'utf8');
    const shown = relative(dirname(path), join(dist, 'bundled-types.js')).replace(/^(?!\.)/, './');
    const replaced = text.replace(
      /import (?:type )?(?:(\w+), )?(\{[^}]*\}|\* as \w+|\w+) from '([^']+)';/g,
      (whole, _first, bindings, from) => {
        if (!bundledTypes.includes(from)) return whole;
        const wanted = bindings.startsWith('{') ? bindings.slice(1, -1).split(',') : [bindings];
        const imported = wanted.map((name) => name.replace(/\btype\b|\* as/g, '').trim()).filter(Boolean);
        for (const name of imported) names.set(name.split(' as ')[0].trim(), true);
        return `import type { ${imported.join(', ')} } from '${shown}';`;
      },
    );
    // What no program names needs no comments in its editor.
    const isInternal = /^(?:rtp|server\/(?:sfu|agents|api))\//.test(entry);
    const kept = isInternal ? replaced.replace(/^ *\/\*\*[\s\S]*?\*\/\n/gm, '') : replaced;
    if (kept !== text) writeFileSync(path, kept);
  }
  const lines = [...names.keys()]
    .sort()
    .flatMap((name) => [`export declare const ${name}: any;`, `export type ${name}<_T = any> = any;`]);
  writeFileSync(`${dist}/bundled-types.d.ts`, `${lines.join('\n')}\n`);
}

/** Copies the declarations that the entries of the package lead to into `dist/types`; what nothing leads to is not shipped. */
function copyDeclarations() {
  rmSync(join(dist, 'types'), { recursive: true, force: true });
  const left = ['index', 'ffi/register', 'server/package-entry'].map((name) => join(dist, `${name}.d.ts`));
  const copied = new Set();
  for (let path = left.pop(); path; path = left.pop()) {
    if (copied.has(path)) continue;
    copied.add(path);
    const text = readFileSync(path, 'utf8');
    const target = join(dist, 'types', relative(dist, path));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
    for (const [, from] of text.matchAll(/(?:from |import\(|import )['"](\.[^'"]*)['"]/g))
      left.push(join(dirname(path), from.replace(/\.js$/, '.d.ts')));
  }
}

/** What is loaded by a `require`: the modules in it, alone, whose exports are used. */
const pureModules = {
  name: 'pure-modules',
  setup(bundler) {
    bundler.onResolve({ filter: /^\./ }, ({ path, importer, kind }) => {
      const resolved = join(dirname(importer), path);
      if (!resolved.startsWith(`${dist}/`)) return undefined;
      // On demand, and from where it is: it waits for its WebAssembly at its top, which CommonJS cannot.
      if (kind === 'dynamic-import') return { path: `./${relative(outdir, resolved)}`, external: true };
      return { path: resolved, sideEffects: false };
    });
  },
};

/** In the bundle, roughly: a statement is not split within a text. */
const lineCharacters = 500;

/**
 * Gives what only one function sees short names: a tenth of the package. Functions and classes keep theirs: stack traces and
 * errors are read by people.
 */
async function shortenLocals() {
  const keepNames = { function: true, class: true };
  for (const entry of readdirSync(outdir, { recursive: true })) {
    if (!entry.endsWith('.js')) continue;
    const path = join(outdir, entry);
    const { code, errors } = minifySync(entry, readFileSync(path, 'utf8'), {
      module: true,
      compress: false,
      mangle: { toplevel: false, keepNames },
    });
    if (errors.length > 0) throw new Error(`${entry}: ${errors[0].message}`);
    // Node prints the line that an uncaught error comes from, which must not be the whole file.
    const lines = await transform(code, { minifyWhitespace: true, lineLimit: lineCharacters });
    writeFileSync(path, lines.code);
  }
}

export async function bundleEngine() {
  await replaceProtocol();
  replaceTypes();
  const common = {
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20',
    mainFields: ['module', 'main'],
    external,
    legalComments: 'none',
    logLevel: 'warning',
  };
  await build({
    ...common,
    entryPoints: { 'audio-tools': `${dist}/ffi/audio-tools.js` },
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    // Of modules that are left out in the end.
    logOverride: { 'empty-import-meta': 'silent' },
    plugins: [pureModules],
  });
  await build({
    ...common,
    entryPoints: {
      main: `${dist}/ffi/engine.js`,
      process: `${dist}/ffi/process/main.js`,
      listen: `${dist}/ffi/process/listen.js`,
      // What the package exports: with the engine in the same bundle, nothing is in the package twice.
      index: `${dist}/index.js`,
      server: `${dist}/server/package-entry.js`,
      cli: `${dist}/cli/main.js`,
      ...Object.fromEntries(loadedFromOutside.map((path) => [path, `${dist}/${path}.js`])),
    },
    splitting: true,
    format: 'esm',
    plugins: [limitsWithoutTexts, ownUrls, programSide, shortNamesOfPackages],
    // For the CommonJS packages in it, which require Node's own modules.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
    },
    minifyWhitespace: true,
    minifySyntax: true,
  });
  await shortenLocals();
  const limits = readFileSync(join(dist, 'limits.js'), 'utf8');
  mkdirSync(join(dist, 'docs'), { recursive: true });
  writeFileSync(join(dist, 'docs/limits.js'), limits);
  writeFileSync(join(dist, 'limits.js'), withoutTexts(limits));
  // Beside the bundle stand files that others load; comments are for those who have the sources.
  for (const path of readdirSync(dist, { recursive: true }))
    if (/^(?:limits\.js|(?:filters|ffi\/program|errors|logging)\/.*\.c?js|ffi\/[^/]+\.c?js)$/.test(path)) {
      const { code } = await transform(readFileSync(join(dist, path), 'utf8'));
      writeFileSync(join(dist, path), code);
    }
  copyDeclarations();
  for (const path of loadedFromOutside) {
    const bundled = relative(dirname(join(dist, path)), join(outdir, path));
    writeFileSync(`${dist}/${path}.js`, `export * from '${bundled}.js';\n`);
  }
}
