// Evaluates JSONata expressions with the npm package: one JSON object {expr, input, now} per line of standard input, one
// answer per line of standard output: {"value": v}, {"undefined": true}, {"function": true} or {"error": code}.
// Usage: node -e "$(cat oracle.js)" FOLDER, where FOLDER/node_modules holds the package.
'use strict';
const path = require('path');
const readline = require('readline');

// The clock stands at the time that each line gives, for $now, $millis and dates without a year.
const RealDate = Date;
let now = 0;
globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length ? args : [now]));
  }
  static now() {
    return now;
  }
};

// The package evaluates the items of arrays and objects concurrently. Of several that fail, the first in their order
// counts, not the first in time, which depends on the number of promises inside.
Promise.all = async (items) => {
  const outcomes = await Promise.allSettled(items);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
  return outcomes.map((outcome) => outcome.value);
};

// JSON has no form for these numbers; AWS writes their names.
function plain(key, v) {
  return typeof v === 'number' && !Number.isFinite(v) ? String(v) : v;
}

const jsonata = require(path.join(process.argv[1], 'node_modules', 'jsonata'));

function holdsFunction(v, depth) {
  if (typeof v === 'function') return true;
  if (v === null || typeof v !== 'object' || depth > 50) return false;
  if (v._jsonata_lambda || v._jsonata_function) return true;
  return Object.values(v).some((item) => holdsFunction(item, depth + 1));
}

async function answer(line) {
  const { expr, input, now: at } = JSON.parse(line);
  now = at;
  try {
    const value = await jsonata(expr).evaluate(input === undefined ? undefined : input);
    if (value === undefined) return '{"undefined":true}';
    return JSON.stringify(holdsFunction(value, 0) ? { function: true } : { value }, plain);
  } catch (failure) {
    return JSON.stringify({ error: String((failure && failure.code) || ''), message: String((failure && failure.message) || '') });
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write((await answer(line)) + '\n');
  }
})();
