import { listed } from '../shared/text.ts';
import type { ToolTable } from './comparison.ts';

/** Drizzle applies the migrations whose `when` is later than the latest one of the table, and no others. */
export const drizzle: ToolTable = {
  columns: ['hash', 'created_at'],
  compare(migrations, rows) {
    const times = rows.map((row) => Number(row.created_at));
    const hashes = new Set(rows.map((row) => row.hash));
    const latest = times.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const whenOf = ({ when = 0 }: (typeof migrations)[number]) => when;
    const left = migrations.filter(
      (one) => whenOf(one) <= latest && !hashes.has(one.key) && !times.includes(whenOf(one)),
    );
    return {
      pending: migrations.filter((one) => whenOf(one) > latest),
      ...(left.length > 0 && {
        warning:
          `Drizzle will never apply ${listed(left.map(({ name }) => name))}: a migration with a later "when" in meta/_journal.json is applied ` +
          'already. Generate it again, so that it is the latest.',
      }),
    };
  },
};
