import { listed } from '../shared/text.ts';
import { visible } from '../shared/visible-text.ts';
import { notIn, type ToolTable } from './comparison.ts';

/**
 * A row is written when a migration begins. With neither `finished_at` nor `rolled_back_at` it has failed, or still runs, and
 * `prisma migrate deploy` refuses all others (P3009).
 */
export const prisma: ToolTable = {
  columns: ['migration_name', 'finished_at', 'rolled_back_at'],
  compare(migrations, rows, table) {
    const rowsLeft = rows.filter((row) => row.rolled_back_at === null);
    const namesOf = (some: typeof rows) => some.map((row) => String(row.migration_name));
    const failed = namesOf(rowsLeft.filter((row) => row.finished_at === null));
    const pending = notIn(migrations, namesOf(rowsLeft));
    const [first] = failed;
    if (first === undefined) return { pending };
    const resolve = (how: string) => `npx prisma migrate resolve --${how} "${visible(first)}"`;
    return {
      pending,
      problem:
        `Prisma has a failed migration, ${listed(failed)} (${table}), so prisma migrate deploy would fail with P3009. If it does not run any ` +
        `more, undo what it has changed and run ${resolve('rolled-back')}, or complete it and run ${resolve('applied')}.`,
    };
  },
};
