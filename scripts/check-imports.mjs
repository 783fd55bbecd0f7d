// Holds the arrows between the folders of src/: which folder may import which, and only through its index.ts.
// docs/architecture.md says what each folder is for. Prints one line for each import that is not allowed, and for each
// allowed one that no file needs.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('../src', import.meta.url));

/** What every folder above them reports with. */
const reporting = ['errors', 'logging', 'deadlines', 'timeline'];

/** Folder: what it may import. The order is that of the layers, from the bottom up. */
const arrows = {
  errors: [],
  logging: ['errors'],
  deadlines: ['errors'],
  timeline: ['errors', 'logging', 'deadlines'],
  signal: reporting,
  rtp: ['errors'],
  transport: ['rtp', ...reporting],
  audio: ['rtp', ...reporting],
  video: ['rtp', ...reporting],
  data: reporting,
  e2ee: reporting,
  filters: reporting,
  room: ['signal', 'transport', 'rtp', 'audio', 'video', 'data', 'e2ee', 'filters', ...reporting],
  ffi: ['room', 'audio', 'video', 'data', 'e2ee', 'filters', ...reporting],
  library: ['ffi', 'audio', 'video', 'data', 'filters', ...reporting],
  server: ['transport', 'rtp', 'audio', 'video', 'data', ...reporting],
  sip: ['room', 'server', 'transport', 'rtp', 'audio', ...reporting],
  // The commands put everything together; doctor looks into the parts of a connection.
  cli: ['server', 'sip', 'room', 'audio', 'signal', 'transport', 'filters', ...reporting],
};

/** The arrows that some file needs, as `from other`. */
const used = new Set();

const importPattern = /(?:\bfrom|\bimport|\brequire\()\s*\(?\s*'(\.[^']*)'/g;

/** @returns {string[]} what is wrong with the imports of one file, a line each */
function violations(path) {
  const [folder] = path.split(sep);
  const allowed = arrows[folder];
  if (path.includes(sep) && !allowed)
    return [`src/${folder} is not in the table of scripts/check-imports.mjs`];
  const found = [];
  for (const [, target] of readFileSync(join(source, path), 'utf8').matchAll(importPattern)) {
    const [other, ...rest] = normalize(join(dirname(path), target)).split(sep);
    if (other === folder || rest.length === 0) continue;
    used.add(`${folder} ${other}`);
    if (allowed && !allowed.includes(other)) {
      found.push(
        `src/${path} imports src/${other}: src/${folder} may import ${allowed.join(', ') || 'nothing'}`,
      );
    }
    if (rest.join('/') !== 'index.js') {
      found.push(`src/${path} imports src/${other}/${rest.join('/')}: import src/${other}/index.js`);
    }
  }
  return found;
}

const files = readdirSync(source, { recursive: true }).filter((path) => /\.c?ts$/.test(path));
const wrong = files.flatMap(violations);
for (const [folder, allowed] of Object.entries(arrows)) {
  // What every folder reports with may be imported by each, whether it does today or not.
  for (const other of allowed.filter((name) => !reporting.includes(name))) {
    if (!used.has(`${folder} ${other}`))
      wrong.push(`src/${folder} does not import src/${other}: take it out of the table`);
  }
}
for (const line of wrong) console.error(line);
process.exit(wrong.length > 0 ? 1 : 0);
