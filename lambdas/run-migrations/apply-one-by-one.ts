import { DeployStepError } from '../shared/errors.ts';
import type { RunMigrationsResult } from '../shared/payloads.ts';

/** After this many milliseconds the next file gets an invocation of its own, so that it has most of Lambda's 15 minutes. */
const LONGEST_MS = 5 * 60_000;

/**
 * Applies files one after the other, until one fails. The retries of the workflow belong to one file: an error after another
 * file was applied is answered with `more`, so that the next invocation begins with its first attempt.
 * @param attempt number of the attempt at the first file
 * @param apply applies one file
 * @throws what `apply` throws for the first file
 */
export async function applyOneByOne(
  files: readonly string[],
  attempt: number,
  apply: (file: string, attempt: number) => Promise<RunMigrationsResult>,
): Promise<RunMigrationsResult> {
  const began = Date.now();
  let applied: string[] = [];
  const answer = (status: RunMigrationsResult['status']): RunMigrationsResult => ({
    ...{ status, applied, pending: [], failure: null },
  });
  for (const [at, file] of files.entries()) {
    if (at > 0 && Date.now() - began > LONGEST_MS) return answer('more');
    try {
      const result = await apply(file, at === 0 ? attempt : 1);
      applied = [...new Set([...applied, ...result.applied])];
      if (result.status !== 'applied') return { ...result, applied };
    } catch (error) {
      if (at > 0 && error instanceof DeployStepError) return answer('more');
      throw error;
    }
  }
  return answer('applied');
}
