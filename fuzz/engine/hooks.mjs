// Module hooks: every block of the modules below dist/ gets a counter. Line numbers stay what they are.
import { parse } from 'acorn';
import { full } from 'acorn-walk';

const instrumented = new URL('../../dist/', import.meta.url).href;
/** Blocks of all modules share the counters; two that share one only make the feedback a little coarser. */
export const counterCount = 16_384;
const maxLiteralLength = 40;
/** Numbers below this are found by chance. */
const smallestLiteral = 16;
let nextCounter = 0;

function count() {
  const counter = nextCounter % counterCount;
  nextCounter += 1;
  return `offhookCounters[${counter}]++`;
}

/** What to insert where, so that each branch counts its runs. */
function insertionsFor(node) {
  const insertions = [];
  const inBlock = (block) => insertions.push([block.start + 1, `${count()};`]);
  const asStatement = (statement) => {
    if (statement.type === 'BlockStatement') return;
    insertions.push([statement.start, `{${count()};`], [statement.end, '}']);
  };
  const asExpression = (expression) =>
    insertions.push([expression.start, `(${count()},`], [expression.end, ')']);
  switch (node.type) {
    case 'BlockStatement':
      inBlock(node);
      break;
    case 'IfStatement':
      asStatement(node.consequent);
      if (node.alternate) asStatement(node.alternate);
      break;
    case 'ForStatement':
    case 'ForOfStatement':
    case 'ForInStatement':
    case 'WhileStatement':
    case 'DoWhileStatement':
      asStatement(node.body);
      break;
    case 'SwitchCase':
      if (node.consequent.length > 0) insertions.push([node.consequent[0].start, `${count()};`]);
      break;
    case 'ConditionalExpression':
      asExpression(node.consequent);
      asExpression(node.alternate);
      break;
    case 'LogicalExpression':
      asExpression(node.right);
      break;
    case 'ArrowFunctionExpression':
      if (node.expression) asExpression(node.body);
      break;
  }
  return insertions;
}

/** The code with counters, and the literals that it compares with. */
export function instrument(source) {
  const insertions = [];
  const literals = new Set();
  const tree = parse(source, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true });
  full(tree, (node) => {
    insertions.push(...insertionsFor(node));
    if (node.type !== 'Literal') return;
    const { value } = node;
    const isWord = typeof value === 'string' && value.length > 1 && value.length <= maxLiteralLength;
    if ((isWord && !/\s/.test(value)) || (typeof value === 'number' && value >= smallestLiteral))
      literals.add(value);
  });
  // At one place, what ends there comes before what begins there.
  const rank = ([, text]) => (text === ')' || text === '}' ? 0 : 1);
  insertions.sort((a, b) => a[0] - b[0] || rank(a) - rank(b));
  let code = '';
  let from = 0;
  for (const [at, text] of insertions) {
    code += source.slice(from, at) + text;
    from = at;
  }
  const words = JSON.stringify([...literals]);
  const head = `const offhookCounters=globalThis.offhookFuzz.counters;for(const literal of ${words})globalThis.offhookFuzz.literals.add(literal);`;
  return head + code + source.slice(from);
}

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (loaded.format !== 'module' || !url.startsWith(instrumented)) return loaded;
  return { ...loaded, source: instrument(String(loaded.source)), shortCircuit: true };
}
