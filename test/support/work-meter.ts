import { Session } from 'node:inspector/promises';

/*
 * Counts the work of a function without a clock: how often it executes each block of code in lib/ and lambdas/, and how many
 * characters and elements built-in functions read for it.
 */

const OWN_CODE = /\/(?:lib|lambdas)\/[^?]*\.ts/;

/** Built-in functions of strings that read the whole string. `slice` is missing, because it only points into the string. */
const READ_TEXT = ['replaceAll', 'replace', 'split', 'trim', 'trimEnd', 'toLowerCase', 'search'];

/** Built-in functions of lists that read the whole list, or could. */
const READ_LIST = [
  ...[
    'includes',
    'indexOf',
    'concat',
    'join',
    'reverse',
    'toReversed',
    'toSorted',
    'findLast',
    'findLastIndex',
  ],
  ...['map', 'flatMap', 'filter', 'forEach', 'reduce', 'every'],
];

/** @param parserRead the characters that PostgreSQL's parser and scanner have read so far */
export async function workOf(run: () => unknown, parserRead: () => number = () => 0): Promise<number> {
  const session = new Session();
  session.connect();
  let read = -parserRead();
  const restore = countReads((units) => {
    read += units;
  });
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    await run();
    read += parserRead();
    restore();
    const { result } = await session.post('Profiler.takePreciseCoverage');
    const functions = result.filter(({ url }) => OWN_CODE.test(url)).flatMap((script) => script.functions);
    // The first range is the whole function, whose count the compiler's optimisations change.
    const blocks = functions.flatMap(({ ranges }) => ranges.slice(1).map(({ count }) => count));
    return blocks.reduce((sum, count) => sum + count, read);
  } finally {
    restore();
    await session.post('Profiler.stopPreciseCoverage');
    session.disconnect();
  }
}

/** Replaces built-in functions with ones that count. @returns restores them */
function countReads(add: (units: number) => void): () => void {
  const restores: (() => void)[] = [];
  const wrap = (prototype: object, name: string, unitsOf: (self: Sized, result: Sized) => number) => {
    const original = Reflect.get(prototype, name) as (...args: unknown[]) => Sized;
    Reflect.set(prototype, name, function counting(this: Sized, ...args: unknown[]) {
      const result = original.apply(this, args);
      add(unitsOf(this, result));
      return result;
    });
    restores.push(() => void Reflect.set(prototype, name, original));
  };
  for (const name of READ_TEXT) wrap(String.prototype, name, (self) => self.length);
  for (const name of READ_LIST) wrap(Array.prototype, name, (self) => self.length);
  wrap(Array.prototype, 'slice', (_list, part) => part.length);
  return () => {
    for (const restore of restores.splice(0)) restore();
  };
}

interface Sized {
  readonly length: number;
}
