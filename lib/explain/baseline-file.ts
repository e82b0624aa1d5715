import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { VERDICTS } from '../../lambdas/shared/query-verdicts.ts';
import { visibleJson } from '../../lambdas/shared/visible-text.ts';
import type { Baseline } from './gate.ts';

const schema = z.strictObject({
  version: z.literal(1),
  queries: z.record(z.string(), z.strictObject({ verdict: z.enum(VERDICTS), tables: z.array(z.string()) })),
});

/** A file that is no baseline. */
export class BaselineError extends Error {
  override readonly name = 'BaselineError';
}

/** @throws BaselineError if the file cannot be read, or has another form */
export function readBaseline(file: string): Baseline {
  try {
    return schema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    const why =
      error instanceof z.ZodError
        ? error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
        : messageOf(error);
    throw new BaselineError(`The baseline ${file} cannot be used: ${why}. Write it with --update-baseline.`, {
      cause: error,
    });
  }
}

/** The text of the file. */
export function baselineText(baseline: Baseline): string {
  return `${visibleJson(baseline, 2)}\n`;
}
