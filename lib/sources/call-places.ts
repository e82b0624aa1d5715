import { pathToFileURL } from 'node:url';
import { countUpTo, type Place } from '../sql/places.ts';
import type { SqlOrigin } from './sql-source.ts';

/** More frames than a migration has between its code and the call of a tool. */
const FRAMES = 50;

/** The place in a file from which the current call comes. Undefined: it does not come from the file. @param path absolute */
function placeOfCall(path: string): Place | undefined {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAMES;
  const { stack = '' } = new Error('call');
  Error.stackTraceLimit = before;
  for (const line of stack.split('\n')) {
    const start = [`${pathToFileURL(path).href}:`, `${path}:`].find((one) => line.includes(one));
    const [, row, column] =
      /^(\d+):(\d+)/.exec(start === undefined ? '' : line.slice(line.indexOf(start) + start.length)) ?? [];
    if (row !== undefined) return { line: Number(row), column: Number(column) };
  }
  return undefined;
}

/** A builder that records the place of each call of its methods in a file. */
export class CallPlaces {
  private readonly path: string;
  private readonly countSteps: () => number;
  private readonly calls: { readonly firstStep: number; readonly place: Place }[] = [];

  /**
   * @param path absolute
   * @param countSteps the number of statements that the builder has so far
   */
  constructor(path: string, countSteps: () => number) {
    this.path = path;
    this.countSteps = countSteps;
  }

  /** The builder for the code of the file. */
  recording<Builder extends object>(builder: Builder): Builder {
    return new Proxy(builder, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          const place = placeOfCall(this.path);
          if (place !== undefined) this.calls.push({ firstStep: this.countSteps(), place });
          return value.apply(target, args);
        };
      },
    });
  }

  /**
   * Where the statements come from.
   * @param text the content of the file
   * @param steps the statements; the SQL consists of them, each on a new line
   */
  originOf(text: string, steps: readonly string[]): SqlOrigin {
    const content = text.replace(/^\ufeff/, '');
    const lineStarts = [0, ...Array.from(content.matchAll(/\n/g), ({ index }) => index + 1)];
    const starts: { readonly at: number; readonly from: number; readonly isVerbatim: boolean }[] = [];
    let at = 0;
    for (const [step, sql] of steps.entries()) {
      const { line, column } = this.calls.findLast(({ firstStep }) => firstStep <= step)?.place ?? {
        line: 1,
        column: 1,
      };
      const call = Math.min(
        (lineStarts[line - 1] ?? 0) + column - 1,
        (lineStarts[line] ?? content.length + 1) - 1,
      );
      // SQL that the code contains as it is has places of its own.
      const written = content.indexOf(sql.replace(/;?\s*$/, ''), call);
      starts.push({ at, from: written === -1 ? call : written, isVerbatim: written !== -1 });
      at += sql.length + 1;
    }
    const offsets = starts.map((one) => one.at);
    return {
      text: content,
      offsetOf: (offset) => {
        const step = starts[countUpTo(offsets, offset) - 1];
        if (step === undefined) return 0;
        return step.isVerbatim ? step.from + offset - step.at : step.from;
      },
    };
  }
}
