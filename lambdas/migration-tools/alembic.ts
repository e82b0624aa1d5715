import { listed } from '../shared/text.ts';
import { notIn, type ToolTable } from './comparison.ts';

/** The table has the revisions at which the database is. Those that come before them are applied. */
export const alembic: ToolTable = {
  columns: ['version_num'],
  compare(migrations, rows) {
    const revisions = new Map(migrations.map((one) => [one.key, one]));
    const current = rows.map((row) => String(row.version_num));
    const missing = current.filter((revision) => !revisions.has(revision));
    if (missing.length > 0) {
      return {
        pending: [],
        unknown: `the database is at the revision ${listed(missing)}, of which the folder has no script`,
      };
    }
    const applied = new Set(current);
    // Revisions that are added meanwhile are visited too.
    for (const revision of applied) {
      for (const before of revisions.get(revision)?.keys ?? []) applied.add(before);
    }
    return { pending: notIn(migrations, [...applied]) };
  },
};
