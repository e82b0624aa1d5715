import { readFileSync } from 'node:fs';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What the tests call that run whole deploys. */
const RUNS_DEPLOYS = /\b(openTestWorkflow|openInstance|openBuilds|killInEachState|createCommandFolder)\(/;

/**
 * Starts the files that run deploys before the others: they take minutes, and one that starts last keeps the other workers
 * waiting. Otherwise the order of vitest: the longest of the last run first, or in a new clone the largest.
 */
export class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const { slow = [], quick = [] } = Object.groupBy(await super.sort(files), ({ moduleId }) =>
      RUNS_DEPLOYS.test(readFileSync(moduleId, 'utf8')) ? 'slow' : 'quick',
    );
    return [...slow, ...quick];
  }
}
