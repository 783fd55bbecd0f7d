// node bench/filters/fuzz.mjs [runs] [first seed]: calls with filters that misbehave at random, as JSON; fails when any
// frame of any call was lost.

import { fuzz } from '../../test/support/filter-fuzz.mjs';
import { compilePlugin } from '../../test/support/plugin/compile.mjs';

const [runs = '1000', firstSeed = '1'] = process.argv.slice(2);
const result = await fuzz({
  runs: Number(runs),
  atOnce: 8,
  firstSeed: Number(firstSeed),
  plugins: [compilePlugin(), compilePlugin('WITH_V2')],
});
console.log(JSON.stringify(result, null, 2));
process.exitCode = result.faulty.length > 0 ? 1 : 0;
