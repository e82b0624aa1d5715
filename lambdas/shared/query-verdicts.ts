/**
 * What a plan does. `index`: it uses the index that serves the query, or any index if none is named. `other-index`: it uses
 * another one. `seq-scan`: it reads a whole table. `not-provable`: it does so because a generic plan cannot use a partial or a
 * pattern index, and the values are not known. `too-small`: the tables are too small to judge. `error`: it cannot be planned.
 */
export const VERDICTS = ['index', 'other-index', 'seq-scan', 'not-provable', 'too-small', 'error'] as const;
export type Verdict = (typeof VERDICTS)[number];
