/*
 * npm run fuzz -- --seed N --cases N
 *
 * Gives the readers of text random texts, far more than the tests do: the splitter, the linter, the import, the input of an
 * execution, and the writers and readers of registries.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { RULES } from './properties.ts';

const USAGE = `Usage: npm run fuzz -- [--seed N] [--cases N] [--only TEXT]
  --seed N      seed of the random texts (default: a random one, which is printed)
  --cases N     number of cases for each rule (default: 1000)
  --only TEXT   run only the rules whose name contains this text`;

process.exitCode = await main();

async function main(): Promise<number> {
  let settings: { seed: number; cases: number; only: string };
  try {
    settings = readSettings();
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  const { seed, cases, only } = settings;
  console.log(`Fuzz with seed ${seed}: ${cases} cases for each rule.`);
  const failed: string[] = [];
  let run = 0;
  for (const { name, check } of RULES.filter((rule) => rule.name.includes(only))) {
    const { cases: tried, failure } = await check({ seed, numRuns: cases });
    run += tried;
    if (failure !== null) failed.push(name);
    console.log(failure === null ? `ok      ${name} (${tried} cases)` : `FAILED  ${name}\n${failure}`);
  }
  console.log(`${run} cases, ${failed.length} rules failed. Seed ${seed}.`);
  return failed.length === 0 ? 0 : 1;
}

function readSettings(): { seed: number; cases: number; only: string } {
  const { values } = parseArgs({
    options: { seed: { type: 'string' }, cases: { type: 'string' }, only: { type: 'string' } },
  });
  return {
    seed: values.seed === undefined ? randomInt(2 ** 31) : wholeNumber('--seed', values.seed),
    cases: values.cases === undefined ? 1_000 : wholeNumber('--cases', values.cases),
    only: values.only ?? '',
  };
}

function wholeNumber(flag: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value < 2 ** 31) return value;
  throw new Error(`${flag} must be a whole number below 2147483648, not ${JSON.stringify(text)}.`);
}
